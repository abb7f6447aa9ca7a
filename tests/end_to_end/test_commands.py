"""The commands as processes: exit status, one line, soon; and a server of its own to replay to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import h5py
import pytest

from tests.end_to_end.peers import COMMAND

SOON_S = 20.0  # a start of Python on a busy machine, and no time limit of ours


def replay(*arguments):
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "replay", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_file_is_replayed_through_a_server_elsewhere(server, raw_file, tmp_path):
    done = replay(raw_file, "-o", tmp_path, "--server", f"127.0.0.1:{server.port}")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [entry["name"] for entry in report["series"]] == ["chi", "r2star", "magnitude"]
    assert len(list(tmp_path.glob("dicom/*_QSM_chi/*.dcm"))) == 22


def test_settings_reach_a_server_elsewhere(server, raw_file, tmp_path):
    there = ["--server", f"127.0.0.1:{server.port}", "--set", "inversion.iterations=3"]
    assert replay(raw_file, "-o", tmp_path, *there).returncode == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["provenance"]["inversion"]["iterations"] == 3


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_file_ends_replay_soon_with_status_1_and_one_line(raw_file, tmp_path, kept):
    cut = tmp_path / "cut.h5"
    cut.write_bytes(raw_file.read_bytes()[: int(kept * raw_file.stat().st_size)])
    start = time.monotonic()
    done = replay(cut, "-o", tmp_path / "out")
    assert time.monotonic() - start < SOON_S
    assert done.returncode == 1
    assert done.stderr == "gadgetron-qsm: cut.h5 is truncated; copy it again\n"


def test_a_scan_that_was_cut_short_ends_replay_soon_with_status_1_and_one_line(raw_file, tmp_path):
    short = tmp_path / "short.h5"
    with h5py.File(raw_file) as whole, h5py.File(short, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/xml", group)
        group["data"] = whole["dataset/data"][:-84]
    start = time.monotonic()
    done = replay(short, "-o", tmp_path / "out")
    assert time.monotonic() - start < SOON_S
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "84 of 1848 lines are missing, the first in echo 1, partition 21, line 0" in line


def test_a_replay_removes_its_own_earlier_series_alone_and_none_when_it_fails(raw_file, tmp_path):
    ours, theirs = tmp_path / "dicom/1001001_QSM_chi", tmp_path / "dicom/401_scanner"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
        (folder / "0001.dcm").touch()
    nobody = ["--server", "127.0.0.1:1"]
    assert replay(raw_file, "-o", tmp_path, *nobody).returncode == 1
    assert (ours / "0001.dcm").exists()
    assert replay(raw_file, "-o", tmp_path, "--set", "deliver.maps=r2star,chi").returncode == 0
    assert (theirs / "0001.dcm").exists()
    assert all(file.stat().st_size for file in tmp_path.glob("dicom/*_QSM_chi/*.dcm"))


def test_what_an_earlier_replay_measured_is_no_visit_of_the_next(raw_file, tmp_path):
    measure = ["--set", "measure.sources=true", "--set", "measure.noise_samples=0"]
    assert replay(raw_file, "-o", tmp_path, *measure).returncode == 0
    assert (tmp_path / "measurement" / "measurement.json").exists()
    assert replay(raw_file, "-o", tmp_path).returncode == 0
    assert not (tmp_path / "measurement" / "measurement.json").exists()


def test_what_a_replay_measured_can_be_compared_but_not_with_itself(raw_file, tmp_path):
    measure = ["--set", "measure.sources=true", "--set", "measure.noise_samples=0"]
    done = replay(raw_file, "-o", tmp_path / "first", *measure)
    assert done.returncode == 0
    assert "measurement, report.html" in " ".join(done.stdout.split())
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    folders = [str(tmp_path / visit) for visit in ("first", "second")]
    arguments = ["compare", *folders, "-o", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("are of one scan; name another visit")


def test_a_measurement_that_fails_leaves_the_maps_and_says_where(raw_file, tmp_path):
    done = replay(raw_file, "-o", tmp_path, "--set", f"measure.labels={tmp_path / 'none.nii'}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"the maps are in {tmp_path}")
    assert list(tmp_path.glob("dicom/*_QSM_chi/*.dcm"))
