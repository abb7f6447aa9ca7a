"""Who writes which file of a folder, which goes first, and what is left to others."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import folder as folders
from gadgetron_qsm.spool.folder import SpoolFile, SpoolFolder
from gadgetron_qsm.spool.spool import Spool
from tests.spool import victim
from tests.spool.conftest import name

MB = 1_000_000
FAILURE = RuntimeError("of the reconstruction")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A function that makes a folder of files of 1 MB, by their day, and names the limit in MB."""
    monkeypatch.setattr(folders, "STEP", 0)

    def make(limit, *days):
        for day in days:
            name(tmp_path, day).write_bytes(bytes(MB))
        return SpoolFolder(tmp_path, limit * MB)

    return make


def days(path):
    return sorted(int(file.name[6:8]) for file in path.iterdir() if file.name.startswith("202603"))


def test_the_oldest_go_first_and_only_as_many_as_must(folder, tmp_path):
    file = folder(5, 3, 1, 4, 2).create()
    file.reserve(MB)
    assert days(tmp_path) == [1, 2, 3, 4]
    file.reserve(MB + 1)
    assert days(tmp_path) == [2, 3, 4]
    file.reserve(3 * MB + 1)
    assert days(tmp_path) == [4]
    file.remove()
    assert days(tmp_path) == [4]


def test_a_scan_larger_than_the_limit_is_refused_when_nothing_is_left_to_remove(folder, tmp_path):
    file = folder(3, 1).create()
    with pytest.raises(QsmError, match=r"^spool.limit_gb = 0.003 is reached$"):
        file.reserve(3 * MB + 1)
    assert days(tmp_path) == []
    file.remove()


def test_files_of_others_are_neither_counted_nor_removed(folder, tmp_path):
    others = [tmp_path / "raw.h5", name(tmp_path, 1, ".h5.bak"), name(tmp_path, 1, ".nii")]
    for other in others:
        other.write_bytes(bytes(3 * MB))
    file = folder(2, 2).create()
    file.reserve(2 * MB)
    assert sorted(path for path in tmp_path.iterdir() if path.stat().st_size == 3 * MB) == sorted(
        others
    )
    file.remove()


def test_a_file_that_is_written_or_read_stays(folder, tmp_path):
    files = folder(3, 1, 2)
    with name(tmp_path, 1).open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_SH)  # as the HDF5 library does
        file = files.create()
        file.reserve(2 * MB)
        assert days(tmp_path) == [1]
        with pytest.raises(QsmError, match="is reached"):
            file.reserve(2 * MB + 1)
    file.reserve(2 * MB + 1)
    assert days(tmp_path) == []
    file.remove()


@pytest.mark.parametrize("end", [SpoolFile.keep, SpoolFile.remove])
def test_a_scan_ends_while_no_other_looks_at_the_files(folder, tmp_path, end):
    files = folder(3)
    file = files.create()
    file.reserve(MB)
    (written,) = tmp_path.iterdir()
    ending = threading.Thread(target=end, args=[file])
    with files.locked():
        ending.start()
        ending.join(0.1)
        assert written.exists()
    ending.join(10)
    assert not written.exists()


def test_files_that_somebody_removes_meanwhile_are_no_matter(folder, tmp_path, monkeypatch):
    files, gone = folder(3, 1), name(tmp_path, 0)
    monkeypatch.setattr(files, "_files", lambda: [gone, name(tmp_path, 1)])
    file = files.create()
    file.reserve(3 * MB)
    assert days(tmp_path) == []
    file.remove()


@pytest.mark.parametrize("end", [SpoolFile.keep, SpoolFile.remove])
def test_a_file_that_cannot_be_ended_is_closed_and_found_later(folder, cut_short, monkeypatch, end):
    def refused(*_, **__):
        raise PermissionError

    files = folder(3)
    file = files.create()
    file.reserve(MB)
    os.pwrite(file.descriptor, cut_short[0], 0)
    with monkeypatch.context() as patch:
        patch.setattr(folders.Path, "rename", refused)
        patch.setattr(folders.Path, "unlink", refused)
        with pytest.raises(PermissionError):
            end(file)
    (kept,) = files.recover()
    assert victim.items_in(kept) == (7, 300)


def test_the_folder_is_absolute_and_may_be_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SpoolSettings(folder="~/spool").folder == tmp_path / "spool"
    monkeypatch.chdir(tmp_path)
    assert SpoolSettings(folder="spool").folder == tmp_path / "spool"


def test_disk_is_left_to_others(folder, tmp_path, monkeypatch):
    usage = folders.shutil.disk_usage(tmp_path)
    used = {"total": 100 * MB, "free": 11 * MB}
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: usage._replace(**used))
    file = folder(1000, 1).create()
    file.reserve(MB)
    assert days(tmp_path) == [1]
    used["free"] = 9 * MB
    with pytest.raises(QsmError, match=r"^its disk has only 0.0 GB left$"):
        file.reserve(MB + 1)
    assert days(tmp_path) == []
    file.remove()


def test_files_grow_in_steps_that_are_taken_off_at_the_end(tmp_path, make_acquisition):
    opened = Spool.opened(SpoolSettings(folder=tmp_path, keep="all"), "<header/>")
    list(opened.tee([make_acquisition(4, 100)] * 10))
    path = opened.finish(None)
    assert path.stat().st_size < MB < folders.STEP


def test_scans_side_by_side_have_a_file_each(tmp_path, make_acquisition):
    settings = SpoolSettings(folder=tmp_path)
    scans = [Spool.opened(settings, f"<scan{number}/>") for number in range(8)]
    readouts = [[make_acquisition() for _ in range(number)] for number in range(8)]
    for scan, sent in zip(scans, readouts, strict=True):
        assert list(scan.tee(sent)) == sent
    for number, scan in enumerate(scans[1:], 1):
        with RawFile(scan.finish(FAILURE)) as raw:
            assert (raw.header_text, len(raw)) == (f"<scan{number}/>", number)
    assert scans[0].finish(FAILURE) is None
