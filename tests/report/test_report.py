from __future__ import annotations

import enum
import json
from pathlib import Path

import numpy as np
import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.plain import plain
from gadgetron_qsm.report.report import peak_memory_bytes, series_entry, write_report
from tests.sphere_scan import header_text


class Engine(enum.Enum):
    CPU = "cpu"


REPORT = {
    "provenance": {"background": {"method": "vsharp", "radii_mm": (12, np.float32(1.5))}},
    "timing_s": {"background": np.float64(1.25)},
    "quality": {"coverage": np.array([0.5, 0.75]), "voxels": np.int64(2**40)},
    "warnings": ["no noise scan"],
}


def read(path):
    return json.loads(path.read_text())


def test_the_report_has_the_sections_that_tools_read(tmp_path):
    path = tmp_path / "report.json"
    write_report(path, REPORT, series=[{"name": "chi"}], timing_s={"ingest": 2.0, "latency": 0.5})
    report = read(path)
    assert report.pop("peak_memory_bytes") > 0
    assert report == {
        "series": [{"name": "chi"}],
        "timing_s": {"ingest": 2.0, "latency": 0.5, "background": 1.25},
        "provenance": {
            "software": f"gadgetron-qsm {__version__}",
            "background": {"method": "vsharp", "radii_mm": [12, 1.5]},
        },
        "quality": {"coverage": [0.5, 0.75], "voxels": 2**40},
        "warnings": ["no noise scan"],
    }


def test_later_repetitions_are_told_with_their_times_and_quality(tmp_path):
    later = {2: {**REPORT, "timing_s": {"background": 2.5}}}
    write_report(tmp_path / "r.json", REPORT, series=[], timing_s={}, later=later)
    report = read(tmp_path / "r.json")
    (second,) = report["later_repetitions"]
    assert second == {
        "repetition": 2,
        "timing_s": {"background": 2.5},
        "quality": report["quality"],
        "warnings": ["no noise scan"],
    }


def test_accuracy_is_there_only_when_it_was_measured(tmp_path):
    write_report(tmp_path / "a.json", {}, series=[], timing_s={}, accuracy={"slope": None})
    write_report(tmp_path / "b.json", {}, series=[], timing_s={})
    assert read(tmp_path / "a.json")["accuracy"] == {"slope": None}
    assert "accuracy" not in read(tmp_path / "b.json")


def test_other_sections_of_a_maps_report_stay_out(tmp_path):
    write_report(tmp_path / "r.json", {"patient": "Doe"}, series=[], timing_s={})
    assert "Doe" not in (tmp_path / "r.json").read_text()


def test_a_report_that_fails_leaves_the_one_before(tmp_path):
    path = tmp_path / "report.json"
    write_report(path, {}, series=[], timing_s={"latency": 1})
    with pytest.raises(TypeError, match="object has no form in JSON"):
        write_report(path, {"quality": {"x": object()}}, series=[], timing_s={})
    assert read(path)["timing_s"] == {"latency": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        write_report(tmp_path / "taken" / "report.json", {}, series=[], timing_s={})


def test_a_series_is_named_by_its_folder_from_the_output():
    header = Header.parse(header_text())
    geometry = Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    volume = Map("magnitude", np.zeros((1, 1, 1)), "a.u.", geometry, echo=2)
    folder = Path("/out/dicom/10006_Magnitude")
    entry = series_entry(volume, header, [folder / "0001.dcm"], Path("/out"))
    assert entry == {
        "name": "magnitude",
        "description": "Magnitude",
        "repetition": 1,
        "unit": "a.u.",
        "folder": "dicom/10006_Magnitude",
        "images": 1,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (float("nan"), None),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.str_("romeo"), "romeo"),
        ({3: Path("a") / "b"}, {"3": "a/b"}),
        ({2, 1}, [1, 2]),
        (Engine.CPU, "cpu"),
    ],
)
def test_values_become_what_json_knows(value, expected):
    converted = plain(value)
    assert converted == expected
    assert json.loads(json.dumps(converted, allow_nan=False)) == expected


def test_peak_memory_grows_by_what_is_held():
    before = peak_memory_bytes()
    held = np.ones(before // 8 + 4_000_000)
    assert peak_memory_bytes() >= held.nbytes
