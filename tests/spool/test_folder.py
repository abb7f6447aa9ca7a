"""Who writes which file of a folder, which goes first, and what is left to others."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import folder as folders
from gadgetron_qsm.spool.folder import SpoolFile, SpoolFolder
from gadgetron_qsm.spool.growing import PAGE
from gadgetron_qsm.spool.scan import SpooledScan
from gadgetron_qsm.spool.spool import Spool, recover, replay_command
from tests.spool import victim

MB = 1_000_000
KILLS = 20
WRITING = ".writing.h5"
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


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory):
    """What is in the file of a scan of 300 readouts, and in one without any, when it is killed."""
    found = []
    for items in (300, 0):
        path = tmp_path_factory.mktemp("cut") / "short.h5"
        with path.open("w+b") as file:
            scan = SpooledScan(file.fileno(), "<scan>7</scan>")
            scan.add(itertools.islice(victim.readouts(7), items))
            scan.write()
        found.append(path.read_bytes())
    return found


def name(path, day, kind=".h5"):
    return path / f"202603{day:02}T120000000000Z_0123abcd{kind}"


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


@pytest.fixture
def other_process(tmp_path):
    """A process that has spooled 300 readouts to the folder, and waits."""
    code = "from tests.spool.victim import *; spool_some(Path(sys.argv[1]), 7, 300)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "7 300\n":
            assert process.poll() is None
        yield process
        process.kill()


def test_what_another_process_writes_is_left_alone_until_that_is_killed(
    tmp_path, other_process, caplog
):
    settings = SpoolSettings(folder=tmp_path)
    assert recover(settings) == []
    (theirs,) = tmp_path.iterdir()
    file = SpoolFolder(tmp_path, MB).create()
    with pytest.raises(QsmError, match="is reached"):
        file.reserve(MB)
    assert theirs.exists()
    file.remove()
    other_process.kill()
    other_process.wait()
    (kept,) = recover(settings)
    assert list(tmp_path.iterdir()) == [kept]
    assert theirs.name == kept.name.replace(".h5", ".writing.h5")
    assert kept.stat().st_size < 10 * MB
    assert victim.items_in(kept) == (7, 300)
    assert recover(settings) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"a scan was cut short; its raw data are kept: {replay_command(kept)}"
    ]


def test_the_next_scan_finds_what_was_killed(tmp_path, other_process, make_acquisition):
    other_process.kill()
    other_process.wait()
    opened = Spool.opened(SpoolSettings(folder=tmp_path), "<header/>")
    list(opened.tee([make_acquisition()]))
    assert opened.finish(None) is None
    (kept,) = tmp_path.iterdir()
    assert not kept.name.endswith(".writing.h5")
    assert victim.items_in(kept) == (7, 300)


@pytest.mark.parametrize("size", [0, 10_000])
def test_a_file_that_was_killed_before_it_had_anything_is_removed(tmp_path, size):
    name(tmp_path, 1, WRITING).write_bytes(bytes(size))
    assert recover(SpoolSettings(folder=tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_scan_that_had_only_begun_is_removed(tmp_path, cut_short):
    name(tmp_path, 1, WRITING).write_bytes(cut_short[1])
    assert recover(SpoolSettings(folder=tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", [0, 1, 3, 4, 5])
def test_a_file_that_lost_a_page_stays_and_does_not_hide_the_others(
    tmp_path, cut_short, caplog, page
):
    """As of a machine that lost power."""
    damaged = bytearray(cut_short[0])
    damaged[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    name(tmp_path, 1, WRITING).write_bytes(damaged)
    name(tmp_path, 2, WRITING).write_bytes(cut_short[0])
    assert recover(SpoolSettings(folder=tmp_path)) == [name(tmp_path, 2)]
    assert name(tmp_path, 1).read_bytes() == damaged
    assert victim.items_in(name(tmp_path, 2)) == (7, 300)
    assert sorted(tmp_path.iterdir()) == [name(tmp_path, 1), name(tmp_path, 2)]
    assert f"its raw data in {name(tmp_path, 1)} cannot be read: " in caplog.text
    with pytest.raises(QsmError, match=r"no HDF5|no header|cannot be read|damaged"):
        RawFile(name(tmp_path, 1))


@pytest.mark.parametrize("reason", [errno.EMFILE, errno.EIO])
def test_a_file_that_cannot_be_opened_now_stays(tmp_path, cut_short, monkeypatch, caplog, reason):
    def refused(*_):
        raise OSError(reason, os.strerror(reason))

    name(tmp_path, 1, WRITING).write_bytes(cut_short[0])
    with monkeypatch.context() as patch:
        patch.setattr("h5py.File", refused)
        assert recover(SpoolSettings(folder=tmp_path)) == []
    assert victim.items_in(name(tmp_path, 1)) == (7, 300)
    assert "cannot be opened" in caplog.text


def test_a_folder_that_cannot_be_used_is_told(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(folders.os, "open", refused)  # root may open any
    with pytest.raises(QsmError, match=r"^spool.folder cannot be used: Permission denied$"):
        recover(SpoolSettings(folder=tmp_path))


def test_processes_killed_20_times_leave_files_with_all_that_they_had_said(tmp_path):
    said = victim.kill(tmp_path, KILLS)
    assert KILLS / 2 <= len(said) <= KILLS
    recover(SpoolSettings(folder=tmp_path))
    left = dict(map(victim.items_in, tmp_path.iterdir()))
    assert len(left) == len(list(tmp_path.iterdir()))
    assert all(left[scan] >= items for scan, items in said.items())
