"""The commands: a small head from simulation to series, and what the exit status says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm import cli
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.phantom import Scan

SIMULATE = ["--voxel-size", 4, 4, 4, "--coils", 3, "--echo-times", "5,10,15", "--tilt", 20]
SMALL = Scan(voxel_size_mm=(4, 4, 4), coils=3, echo_times_s=(0.005, 0.01, 0.015), tilt_deg=20)
FEW = ["--set", "inversion.iterations=2"]
STAGES = {"coils", "field", "mask", "inversion", "reference"}


def call(*arguments):
    """Run a command as the shell would; return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gadgetron-qsm", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "head.h5"
    assert call("simulate", path, *SIMULATE) == 0
    return path


@pytest.fixture(scope="module")
def output(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "new"
    assert call("replay", raw, "--output", folder, "--set", "inversion.iterations=40") == 0
    return folder


@pytest.fixture(scope="module")
def report(output):
    return json.loads((output / "report.json").read_text())


@pytest.fixture(scope="module")
def truth(raw):
    with np.load(raw.with_name("head_truth.npz")) as file:
        return dict(file)


def read_image(output, series):
    dataset = ismrmrd.Dataset(output / "images.h5", "dataset", create_if_needed=False)
    try:
        return dataset.read_image(f"image_{series}", 0), dataset.read_xml_header()
    finally:
        dataset.close()


def test_replay_leaves_one_folder_a_series(output, truth):
    slices = len(truth["chi_ppm"])
    folders = {path.name: len(list(path.glob("*.dcm"))) for path in (output / "dicom").iterdir()}
    named = {re.sub(r"^\d+_", "", name): count for name, count in folders.items()}
    assert named == {"QSM_chi": slices, "R2star": slices, "Magnitude": 3 * slices}
    assert sorted(path.name for path in output.iterdir()) == [
        "dicom", "finished.json", "images.h5", "picture.png", "provenance.json", "report.html",
        "report.json", "thumbnail.png",
    ]  # fmt: skip
    assert (output / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_has_the_sections_that_tools_read(report, output):
    assert list(report) == [
        "series", "timing_s", "peak_memory_bytes", "provenance", "quality", "warnings", "accuracy",
    ]  # fmt: skip
    assert [entry["name"] for entry in report["series"]] == ["chi", "r2star", "magnitude"]
    for entry in report["series"]:
        assert len(list((output / entry["folder"]).iterdir())) == entry["images"]
    assert set(report["timing_s"]) >= {"ingest", "latency", "r2star"} | STAGES
    assert all(seconds >= 0 for seconds in report["timing_s"].values())
    assert set(report["provenance"]) >= {"software", "kspace"} | STAGES
    assert report["provenance"]["inversion"]["iterations"] == 40
    assert report["peak_memory_bytes"] > 50e6


def test_the_map_of_a_simulated_head_is_compared_with_its_truth(report):
    accuracy = report["accuracy"]
    assert 0.6 < accuracy["slope"] < 1.6  # 4 mm voxels blur the nuclei
    assert accuracy["coverage"] > 0.6
    nuclei = {row["name"]: row["measured_ppb"] for row in accuracy["nuclei"]}
    assert len(nuclei) == 7
    assert min(nuclei["globus pallidus"], nuclei["dentate nucleus"]) > 40


def test_the_series_is_the_image_that_came_over_the_socket(output):
    (folder,) = (output / "dicom").glob("*_QSM_chi")
    series, _ = read_series(folder)
    image, header = read_image(output, 1)
    assert np.abs(image.data[0] - series).max() <= 0.5
    assert series.std() > 5
    assert "<TE>5" in header.decode()


def test_the_series_lies_where_the_head_lay(output):
    (folder,) = (output / "dicom").glob("*_QSM_chi")
    series, affine = read_series(folder)
    np.testing.assert_allclose(affine[:3, :3] / 4, SMALL.directions.T, atol=1e-6)
    centre = [n // 2 for n in series.shape[::-1]]
    np.testing.assert_allclose((affine @ [*centre, 1])[:3], SMALL.position_mm, atol=1e-3)


def test_demo_simulates_replays_and_prints_the_nuclei(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gadgetron_qsm.phantom.scan.Scan", lambda: SMALL)
    assert call("demo", "--output", tmp_path) == 0
    said = capsys.readouterr().out
    assert "globus" in said
    assert "slope" in said
    assert (tmp_path / "head.h5").is_file()
    assert "accuracy" in json.loads((tmp_path / "report.json").read_text())
    assert list(tmp_path.glob("dicom/*_QSM_chi/*.dcm"))


def test_several_files_get_a_folder_each(raw, tmp_path, capsys):
    twin = tmp_path / "twin.h5"
    twin.write_bytes(raw.read_bytes())
    assert call("replay", raw, twin, "-o", tmp_path / "all", *FEW) == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("all/*/report.json")}
    assert written == {"all/head/report.json", "all/twin/report.json"}
    assert capsys.readouterr().err == ""
    # no truth lies beside the second file
    reports = [json.loads((tmp_path / path).read_text()) for path in sorted(written)]
    assert ["accuracy" in report for report in reports] == [True, False]


def test_the_maps_that_settings_choose_become_series(raw, tmp_path):
    chosen = ["--set", "deliver.maps=local_field,chi"]
    assert call("replay", raw, "-o", tmp_path, *FEW, *chosen) == 0
    found = sorted(path.name.partition("_")[2] for path in (tmp_path / "dicom").iterdir())
    assert found == ["Local_field", "QSM_chi"]


def test_a_configuration_of_the_site_is_taken_from_its_file_and_options_win(raw, tmp_path):
    site = tmp_path / "site.xml"
    site.write_text(
        '<configuration><property name="inversion.iterations" value="3"/></configuration>'
    )
    for options, iterations in (([], 3), (FEW, 2)):
        assert call("replay", raw, "-o", tmp_path / "out", "--config", site, *options) == 0
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert report["provenance"]["inversion"]["iterations"] == iterations


def cut(raw, path):
    path.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])


def without_echo_times(raw, path):
    path.write_bytes(raw.read_bytes())
    with h5py.File(path, "r+") as file:
        text = file["dataset/xml"][0].decode()
        file["dataset/xml"][0] = re.sub("<TE>.*?</TE>", "", text)


def without_the_last_partitions(raw, path):
    with h5py.File(raw) as whole, h5py.File(path, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/xml", group)
        group["data"] = whole["dataset/data"][:-100]


def something_else(_, path):
    path.write_text("text")


def nothing(_, path):
    assert not path.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "scan.h5 is truncated; copy it again"),
        (without_echo_times, "no echo times"),
        (without_the_last_partitions, "100 of 8100 lines are missing"),
        (something_else, "scan.h5 is no HDF5 file"),
        (nothing, "scan.h5 does not exist"),
    ],
)
def test_a_file_that_cannot_be_used_fails_in_one_line(raw, tmp_path, capsys, spoil, says):
    spoil(raw, tmp_path / "scan.h5")
    assert call("replay", tmp_path / "scan.h5", "-o", tmp_path / "out") == 1
    assert_one_line(capsys, says)
    assert not (tmp_path / "out").exists()


def assert_one_line(capsys, says):
    error = capsys.readouterr().err
    assert re.fullmatch(rf"gadgetron-qsm: .*{re.escape(says)}.*\n", error), error


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ("--set inversion.iteration=5", 2, "did you mean 'inversion.iterations'?"),
        ("--set inversion.iterations=many", 2, "setting 'inversion.iterations' = 'many'"),
        ("--config nix", 2, "there are fast, openrecon, qsm, qsm_buffer"),
        ("--config nix.xml", 2, "there are fast, openrecon, qsm, qsm_buffer"),
        ("--server 127.0.0.1:1", 1, "no MRD server answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_fails_in_one_line(raw, tmp_path, capsys, options, status, says):
    assert call("replay", raw, "-o", tmp_path / "out", *options.split()) == status
    assert_one_line(capsys, says)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    ["replay", "replay a.h5", "replay a.h5 -o b --jobs 0", "replay a.h5 -o b --set x",
     "replay a.h5 -o b --server here", "serve --port many", "nonsense",
     "simulate a.h5 --echo-times soon"],
)  # fmt: skip
def test_wrong_use_is_told_from_failure(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments.split()) == 2
    assert "Usage" in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize("subject", ["qsm", None])
def test_check_prints_what_it_finds(capsys, subject):
    assert call("check", *([subject] if subject else [])) == 0
    assert "settings" in capsys.readouterr().out


def test_check_lists_all_that_is_wrong_and_fails_in_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "site.xml").write_text("<configuration/>")
    assert call("check", tmp_path / "site.xml") == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"gadgetron-qsm: .*site.xml is not usable, errors: 3\n", printed.err)
    assert printed.out.count("error  ") == 3
    assert all(len(line) <= 80 for line in printed.out.splitlines())
