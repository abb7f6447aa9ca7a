"""What --resume keeps: what was made of the same data, settings and version, and is whole."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from gadgetron_qsm.cohort import finished as notes
from gadgetron_qsm.cohort.finished import NAME, Input, write_finished
from gadgetron_qsm.cohort.plan import planned
from gadgetron_qsm.cohort.task import Task


@pytest.fixture
def task(tmp_path):
    """A scan that is done."""
    raw, folder = tmp_path / "scan.h5", tmp_path / "out" / "scan"
    raw.write_bytes(b"raw data")
    (folder / "dicom" / "18433001_QSM_chi").mkdir(parents=True)
    (folder / "dicom" / "18433001_QSM_chi" / "0001.dcm").write_bytes(b"pixels")
    (folder / "report.json").write_bytes(b"{}")
    write_finished(folder, Input.of(raw), "hash", {"chi 1": "0"}, {"replay": 1.0})
    return Task("scan", raw, folder, "hash")


def why(task, *, resume=True):
    (scan,) = planned([task], resume=resume)
    assert bool(scan.finished) is not bool(scan.why)
    return scan.why


def test_what_is_done_is_kept_when_that_is_asked_for(task):
    assert why(task) == ""
    assert why(task, resume=False) == "done, but without --resume"


def test_a_scan_without_results_is_new(task, tmp_path):
    for resume in (True, False):
        assert why(replace(task, folder=tmp_path / "other"), resume=resume) == "new"


def test_other_settings_or_another_version_are_reasons(task, monkeypatch):
    assert why(replace(task, settings="another")) == "other settings"
    monkeypatch.setattr("gadgetron_qsm.cohort.plan.__version__", "99")
    assert why(task) == f"made by version {notes.__version__}"


def test_the_same_content_at_another_time_is_no_reason(task):
    os.utime(task.raw, (1, 1))
    assert why(task) == ""


def test_a_file_of_the_same_size_and_time_is_not_read(task, monkeypatch):
    monkeypatch.setattr(Input, "of", None)
    assert why(task) == ""


@pytest.mark.parametrize("content", [b"raw DATA", b"more raw data", None])
def test_other_content_is_a_reason(task, content):
    if content is None:
        task.raw.unlink()
    else:
        task.raw.write_bytes(content)
        os.utime(task.raw, (1, 1))  # as one that was copied with its time may have
    assert why(task) == "other raw data"


@pytest.mark.parametrize("file", ["report.json", "dicom/18433001_QSM_chi/0001.dcm"])
def test_a_file_that_is_gone_or_cut_is_a_reason(task, file):
    (task.folder / file).write_bytes(b"")
    assert why(task) == why(task, resume=False) == "results not whole"
    (task.folder / file).unlink()
    assert why(task) == "results not whole"


def test_what_others_put_beside_results_is_none_of_them(task):
    for name in ("notes.txt", "dicom/401_scanner/0001.dcm", "other/report.json"):
        (task.folder / name).parent.mkdir(exist_ok=True)
        (task.folder / name).write_bytes(b"1")
    noted = write_finished(task.folder, Input.of(task.raw), "hash", {}, {})
    assert set(noted.files) == {"report.json", "dicom/18433001_QSM_chi/0001.dcm"}
    assert (task.folder / NAME).exists()


def test_a_scan_that_a_dataset_lacks_is_replayed(task, tmp_path):
    asked = replace(task, bids=tmp_path / "bids", label="01", session="a")
    assert why(asked) == "not in the BIDS dataset"
    (tmp_path / "bids/sub-01").mkdir(parents=True)
    assert why(asked) == "not in the BIDS dataset"
    (tmp_path / "bids/sub-01/ses-a").mkdir()
    assert why(asked) == ""
