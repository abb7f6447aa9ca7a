"""Scans that were cut short: their raw data are found, whatever was done to them, and for whom."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import Close
from gadgetron_qsm.site.log_lines import warnings_told
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import folder as folders
from gadgetron_qsm.spool import spool
from gadgetron_qsm.spool.folder import SpoolFolder
from gadgetron_qsm.spool.growing import PAGE
from gadgetron_qsm.spool.kept import spooled
from gadgetron_qsm.spool.recovery import left_by, recover, replay_command
from gadgetron_qsm.spool.spool import Spool
from tests.spool import victim
from tests.spool.conftest import WRITING, name

MB = 1_000_000
KILLS = 20
NOON, DAY = 1772366400.0, 86400.0  # s, of 1 March 2026


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
    assert theirs.name == kept.name.replace(".h5", f".{other_process.pid}.writing.h5")
    assert kept.stat().st_size < 10 * MB
    assert victim.items_in(kept) == (7, 300)
    assert recover(settings) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"a scan was cut short; its raw data are kept: {replay_command(kept)}"
    ]


@pytest.mark.parametrize("recovers", [False, True])
def test_the_next_scan_finds_what_was_killed_if_nobody_else_does_and_tells_no_client(
    tmp_path, cut_short, connected, send, answers, make_acquisition, recovers
):
    connection, peer = connected
    name(tmp_path, 1, WRITING).write_bytes(cut_short[0])
    send(peer, make_acquisition(), Close())
    settings = SpoolSettings(folder=tmp_path)
    with (
        warnings_told(connection),
        spooled(connection, settings, recovers=recovers) as incoming,
    ):
        assert len(list(incoming)) == 1
    connection.close()
    assert answers(peer) == []
    assert list(tmp_path.iterdir()) == [name(tmp_path, 1, ".h5" if recovers else WRITING)]


def test_what_goes_wrong_when_others_are_looked_for_costs_no_spool(
    tmp_path, monkeypatch, make_acquisition
):
    def fails(_):
        raise QsmError("spool.folder cannot be used: Input/output error")

    monkeypatch.setattr(spool, "recover", fails)
    opened = Spool.opened(SpoolSettings(folder=tmp_path), "<scan>1</scan>", recovers=True)
    list(opened.tee([make_acquisition()]))
    assert opened.finish(RuntimeError()).is_file()


def test_a_client_hears_of_its_own_scan_alone(tmp_path, cut_short):
    settings = SpoolSettings(folder=tmp_path)
    for day, process in ((1, 4711), (2, 4711), (3, 4712)):
        name(tmp_path, day, f".{process}.writing.h5").write_bytes(cut_short[0])
    second = name(tmp_path, 2)
    assert left_by(settings, 4713, NOON) == ""
    assert left_by(settings, 4711, NOON + 2 * DAY) == ""
    assert (
        left_by(settings, 4711, NOON + DAY)
        == f"its data are kept: gadgetron-qsm replay {second} --output replayed"
    )
    assert recover(settings) == [name(tmp_path, 1), name(tmp_path, 3)]


def test_a_client_hears_of_a_scan_that_began_as_it_was_given_to_its_process(tmp_path, cut_short):
    begun = time.time()
    file = SpoolFolder(tmp_path, 10 * MB).create()
    os.pwrite(file.descriptor, cut_short[0], 0)
    os.close(file.descriptor)
    assert "its data are kept" in left_by(SpoolSettings(folder=tmp_path), os.getpid(), begun)


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
