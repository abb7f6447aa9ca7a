"""Disks that hang, are slow, or are full cost a scan little, and no more than its spool."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import threading

import pytest

from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import folder, growing, spool
from gadgetron_qsm.spool.spool import Spool
from tests.missing import missing
from tests.spool.passing import FAILURE, is_readout, on_disk, readouts_in, spooled, wait_for

NO_FURTHER = "the raw data of this scan are spooled no further"


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_disk_that_does_not_answer_costs_patience_and_not_the_scan(
    settings, scan, monkeypatch, caplog
):
    answers, write = threading.Event(), os.pwritev

    def hung(*arguments):
        answers.wait(10)
        return write(*arguments)

    monkeypatch.setattr(growing.os, "pwritev", hung)
    monkeypatch.setattr(spool, "CAPACITY", 20_000)
    monkeypatch.setattr(spool, "PATIENCE_S", 0.05)
    monkeypatch.setattr(spool, "LAST_S", 0.05)
    opened = Spool.opened(settings, "<header/>")
    assert list(opened.tee(scan)) == scan
    assert not opened.whole
    assert opened.finish(FAILURE) is None
    assert warned(caplog) == [f"{NO_FURTHER}: the disk is slower than the scan"]
    answers.set()
    wait_for(lambda: [path for path in settings.folder.iterdir() if path.name.count(".") == 1])


def test_what_nobody_will_want_is_not_written_any_more(settings, scan, monkeypatch, caplog):
    answers, write, written = threading.Event(), os.pwritev, []

    def slow(descriptor, buffers, offset):
        answers.wait(10)
        written.append(sum(map(len, buffers)))
        return write(descriptor, buffers, offset)

    monkeypatch.setattr(growing.os, "pwritev", slow)
    monkeypatch.setattr(spool, "SOON_S", 0.05)
    opened = Spool.opened(settings, "<header/>")
    assert list(opened.tee(scan)) == scan
    assert opened.finish(None) is None
    assert written == []  # the scan did not wait for the disk
    answers.set()
    wait_for(lambda: not list(settings.folder.iterdir()))
    assert sum(written) < 30_000  # the header
    assert warned(caplog) == []


def test_a_slow_disk_may_be_waited_for_as_long_as_patience_lasts(settings, scan, monkeypatch):
    monkeypatch.setattr(spool, "CAPACITY", 2_000)
    path = spooled(settings, scan)
    assert len(readouts_in(path)) == sum(map(is_readout, scan))


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path, scan, caplog):
    (tmp_path / "file").write_text("in the way")
    settings = SpoolSettings(folder=tmp_path / "file" / "spool")
    assert spooled(settings, scan) is None
    assert warned(caplog) == [f"{NO_FURTHER}: Not a directory"]


def test_a_disk_that_fills_in_the_middle_of_a_write_leaves_what_was_whole_before(
    settings, scan, caplog, monkeypatch
):
    write, full = os.pwritev, False

    def filling(descriptor, buffers, offset):
        if full:
            write(descriptor, [b"".join(buffers)[:5000]], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, buffers, offset)

    monkeypatch.setattr(growing.os, "pwritev", filling)
    opened = Spool.opened(settings, "<header/>")
    passed = opened.tee(scan)
    sent = sum(is_readout(next(passed)) for _ in range(30))
    wait_for(lambda: on_disk(settings.folder) == sent)
    full = True
    assert len(list(passed)) == len(scan) - 30
    path = opened.finish(FAILURE)
    assert len(readouts_in(path)) == sent
    assert warned(caplog) == [f"{NO_FURTHER}: No space left on device"]
    assert not opened.whole


@pytest.fixture
def small_disk(tmp_path, program):
    """A disk of 8 MB, for root."""
    if os.getuid():
        missing("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run([program("mount"), "-t", "tmpfs", "-o", "size=8m", "none", folder], check=True)
    yield folder
    subprocess.run([program("umount"), folder], check=True)


@pytest.mark.parametrize(
    ("left", "reason"), [(-1.0, "No space left on device"), (0.2, "its disk has only 0.0 GB left")]
)
def test_a_disk_that_is_full_costs_one_warning_and_the_room_that_is_left_to_others(
    small_disk, make_acquisition, caplog, monkeypatch, left, reason
):
    monkeypatch.setattr(folder, "FREE_PART", left)
    monkeypatch.setattr(folder, "STEP", 0)
    monkeypatch.setattr(spool, "CAPACITY", 500_000)  # so that there are blocks
    scan = [make_acquisition(16, 500)] * 200  # 13 MB
    path = spooled(SpoolSettings(folder=small_disk / "spool"), scan)
    assert warned(caplog) == [f"{NO_FURTHER}: {reason}"]
    kept = path.stat().st_size
    assert 4e6 < kept < (1 - max(left, 0)) * 8.4e6
    assert len(readouts_in(path)) == pytest.approx(kept / 64_900, rel=0.05)
