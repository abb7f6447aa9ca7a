"""Everything that a run leaves, from a record of its maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.record import Record
from gadgetron_qsm.report.run import write_run
from gadgetron_qsm.settings import Settings

FILES = ["picture.png", "provenance.json", "report.html", "report.json"]
OF_CHI = "thumbnail.png"


@pytest.fixture
def record(private_header, maps):
    record = Record(private_header, maps)
    for volume in maps:
        record.delivered(volume)
    return record


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_leaves_report_provenance_picture_and_page(record, tmp_path, secrets):
    timing_s = {"latency": 0.5}
    write_run(tmp_path / "scan", record, settings=Settings(), timing_s=timing_s)
    assert written(tmp_path / "scan") == [*FILES, OF_CHI]
    report = json.loads((tmp_path / "scan" / "report.json").read_text())
    assert report["timing_s"] == {"latency": 0.5, "ingest": 1.5, "inversion": 2.25}
    assert matplotlib.image.imread(tmp_path / "scan" / "picture.png").shape[1] == 990
    text = (tmp_path / "scan" / "provenance.json").read_text(encoding="utf-8")
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize("names", [{"chi"}, {"magnitude"}, {"magnitude", "mask"}, {"total_field"}])
def test_maps_that_are_not_there_are_no_obstacle(private_header, maps, names, tmp_path):
    some = [volume for volume in maps if volume.name in names]
    write_run(tmp_path, Record(private_header, some), settings=Settings())
    assert written(tmp_path) == FILES + [OF_CHI] * ("chi" in names)


def test_without_a_map_the_failure_is_told_and_no_picture_of_before_stays(
    private_header, record, tmp_path
):
    write_run(tmp_path, record, settings=Settings())
    failure = QsmError("the mask is empty")
    write_run(tmp_path, Record(private_header), settings=Settings(), failure=failure)
    assert written(tmp_path) == [name for name in FILES if name != "picture.png"]
    told = "the chain failed before all maps were made: the mask is empty"
    assert told in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "provenance.json").read_text())["warnings"] == [told]


def test_a_folder_that_cannot_be_written_is_one_clear_line(record, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        write_run(tmp_path / "taken", record, settings=Settings())


def test_the_first_of_each_kind_is_shown(record, maps):
    assert record.maps["magnitude"] is maps[4]
    assert record.maps["magnitude"].echo == 0


def test_maps_of_later_repetitions_are_let_go_and_their_reports_kept(private_header, maps):
    record = Record(private_header, maps)
    for volume in maps:
        record.see(replace(volume, repetition=1, report={"warnings": ["moved"]}))
    assert all(volume.repetition == 0 for volume in record.maps.values())
    first, later = record.reports()
    assert first["warnings"] == ["no noise scan", "moved"]
    assert later == {2: {"warnings": ["moved"]}}


def test_what_the_first_repetition_lacks_is_not_taken_from_another(private_header, maps):
    record = Record(private_header, maps[:1])
    record.see(replace(maps[3], repetition=1))
    assert list(record.maps) == ["chi"]


def test_a_failure_is_told_after_the_warnings_before_it(record):
    first, _ = record.reports("the peer is gone")
    warning, failure = first["warnings"]
    assert warning == "no noise scan"
    assert failure.endswith("the peer is gone")


def test_the_last_map_of_a_repetition_tells_what_was_done(private_header, maps):
    more = replace(maps[-1], report={**maps[0].report, "quality": {"r2star": 1}})
    first, _ = Record(private_header, [*maps, more]).reports()
    assert first["quality"] == {"r2star": 1}


def test_echoes_of_a_map_are_one_series(private_header, maps):
    record = Record(private_header)
    for volume in (maps[0], *maps[4:]):
        number = 4 if volume.name == "magnitude" else 8
        files = [Path(f"/out/dicom/{volume.name}/{n}.dcm") for n in range(number)]
        record.delivered(volume, files, Path("/out"))
    told = [(s["name"], s["folder"], s["images"]) for s in record.series]
    assert told == [("chi", "dicom/chi", 8), ("magnitude", "dicom/magnitude", 8)]


def test_without_files_the_images_that_were_sent_count(record):
    told = {s["name"]: (s["folder"], s["images"]) for s in record.series}
    assert told["chi"] == (None, 8)
    assert told["magnitude"] == (None, 16)
