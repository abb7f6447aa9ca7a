"""Raw data on disk as they come, and a scan that never waits for them for long."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import re
import stat
import subprocess
import threading
from io import BytesIO

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.chain import combine
from gadgetron_qsm.mrd.client import messages_of
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Bucket, Close, HeaderText, Text
from gadgetron_qsm.mrd.wire import read_message
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import folder, growing, spool
from gadgetron_qsm.spool.recovery import recover, replay_command
from gadgetron_qsm.spool.spool import Spool
from tests.missing import missing

FAILURE = RuntimeError("of the reconstruction")
NO_FURTHER = "the raw data of this scan are spooled no further"
NAME = re.compile(r"\d{8}T\d{12}Z_[0-9a-f]{8}\.h5")


@pytest.fixture
def settings(tmp_path):
    return SpoolSettings(folder=tmp_path / "raw" / "spool")


def spooled(settings, messages, header_text="<header/>", failure=FAILURE):
    """Let messages pass, and return what is kept of them."""
    opened = Spool.opened(settings, header_text)
    assert list(opened.tee(messages)) == messages
    return opened.finish(failure)


def readouts_in(path):
    with RawFile(path) as raw:
        return [readout for block in raw.blocks() for readout in block]


@pytest.fixture
def scan(make_acquisition, make_waveform):
    """Readouts of many sizes, with and without trajectories and flags, waveforms between them."""
    messages = []
    for number in range(60):
        readout = make_acquisition(1 + number % 5, 1 + 7 * number, number % 4)
        readout.head["flags"] = 1 << number
        messages += [readout, make_waveform(1 + number % 2, number)][: 1 + number % 2]
    return messages


def is_readout(message):
    return hasattr(message, "trajectory")


def test_readouts_and_waveforms_survive_bit_for_bit(settings, scan):
    path = spooled(settings, scan)
    sent = [message for message in scan if is_readout(message)]
    for read, was in zip(readouts_in(path), sent, strict=True):
        assert read.head.tobytes() == was.head.tobytes()
        assert read.data.tobytes() == was.data.tobytes()
        if was.trajectory is None:
            assert read.trajectory is None
        else:
            assert read.trajectory.tobytes() == was.trajectory.tobytes()
    with RawFile(path) as raw:
        waves = [message for message in scan if not is_readout(message)]
        for read, was in zip(raw.waveforms(), waves, strict=True):
            assert read.head == was.head
            np.testing.assert_array_equal(read.data, was.data)


def test_ismrmrd_reads_what_was_spooled(settings, scan):
    path = spooled(settings, scan)
    sent = [message for message in scan if is_readout(message)]
    waves = [message for message in scan if not is_readout(message)]
    with ismrmrd.Dataset(path, "dataset", mode="r") as dataset:
        assert dataset.read_xml_header() == b"<header/>"
        assert dataset.number_of_acquisitions() == len(sent)
        assert dataset.number_of_waveforms() == len(waves)
        for number, was in enumerate(sent):
            read = dataset.read_acquisition(number)
            assert bytes(read.getHead()) == was.head.tobytes()
            np.testing.assert_array_equal(read.data, was.data)
            if was.trajectory is not None:
                np.testing.assert_array_equal(read.traj, was.trajectory)
        for number, was in enumerate(waves):
            np.testing.assert_array_equal(dataset.read_waveform(number).data, was.data)


FORMS = ["client_gadgetron"] + [
    f"server_{form}_r2" for form in ("bucket", "recondata", "imagearray", "images")
]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_replayed_gives_the_images_of_the_live_scan(settings, recorded, form):
    stream, header = BytesIO(recorded(form)), None
    while header is None:
        message = read_message(stream)
        header = Header.parse(message.text) if isinstance(message, HeaderText) else None
    messages = list(iter(lambda: read_message(stream), Close()))
    path = spooled(settings, messages, header.text)
    chain = Settings.from_properties({"kspace.compression": "none"})
    (live,) = combine(messages, header, chain)
    with RawFile(path) as raw:
        assert raw.header_text == header.text
        (replayed,) = combine(messages_of(raw), Header.parse(raw.header_text), chain)
    np.testing.assert_array_equal(replayed.data, live.data)


@pytest.mark.parametrize(
    ("keep", "failure", "kept"),
    [
        ("failed", None, False),
        ("failed", FAILURE, True),
        ("all", None, True),
        ("all", FAILURE, True),
    ],
)
def test_raw_data_are_kept_as_settings_say(settings, scan, keep, failure, kept):
    settings = settings.model_copy(update={"keep": keep})
    path = spooled(settings, scan, failure=failure)
    assert list(settings.folder.iterdir()) == ([path] if kept else [])


def test_readouts_of_a_bucket_that_lost_their_trajectories_can_be_read(
    settings, make_acquisition, make_waveform
):
    """Gadgetron's RemoveROOversampling crops readouts, and not their trajectories."""
    cropped = dataclasses.replace(make_acquisition(dimensions=2), trajectory=None)
    calibration, both = (make_acquisition() for _ in range(2))
    calibration.head["flags"] = 1 << (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION - 1)
    both.head["flags"] = 1 << (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING - 1)
    bucket = Bucket([cropped, both], [calibration, both], [make_waveform()])
    path = spooled(settings, [bucket])
    read = readouts_in(path)
    for one, was in zip(read, [cropped, both, calibration], strict=True):
        np.testing.assert_array_equal(one.data, was.data)
        assert one.trajectory is None
    with RawFile(path) as raw:
        assert len(list(raw.waveforms())) == 1


@pytest.mark.parametrize("messages", [[], [Text("only words")]])
def test_nothing_is_kept_of_a_scan_without_data(settings, messages):
    assert spooled(settings, messages) is None
    assert list(settings.folder.iterdir()) == []


def test_without_a_folder_there_is_no_spool():
    assert Spool.opened(SpoolSettings(), "<header/>") is None
    assert recover(SpoolSettings()) == []


def test_files_are_the_owners_alone_and_their_names_say_when_and_not_whose(settings, scan):
    header = "<header><patientName>Doe^Jane</patientName></header>"
    path = spooled(settings, scan, header)
    assert NAME.fullmatch(path.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert replay_command(path) == f"gadgetron-qsm replay {path} --output replayed"


def test_what_comes_after_a_failure_is_kept_too(settings, scan):
    opened = Spool.opened(settings, "<header/>")
    source = iter(scan)
    used_by_a_chain_that_fails = opened.tee(source)
    for _ in range(11):
        next(used_by_a_chain_that_fails)
    assert sum(1 for _ in opened.tee(source)) == len(scan) - 11
    path = opened.finish(FAILURE)
    assert len(readouts_in(path)) == sum(map(is_readout, scan))
    assert opened.whole


def test_messages_are_on_disk_while_the_scan_goes_on(settings, scan):
    opened = Spool.opened(settings, "<header/>")
    passed = opened.tee(scan)
    sent = sum(is_readout(next(passed)) for _ in range(30))
    wait_for(lambda: on_disk(settings.folder) == sent)
    list(passed)
    wait_for(lambda: on_disk(settings.folder) == sum(map(is_readout, scan)))
    assert opened.finish(None) is None


def on_disk(folder):
    """Readouts in the file that is being written, which others leave alone."""
    writing = list(folder.glob("*.writing.h5")) if folder.is_dir() else []
    if not writing or not writing[0].stat().st_size:
        return 0
    (folder.parent / "copy.h5").write_bytes(writing[0].read_bytes())
    return len(readouts_in(folder.parent / "copy.h5"))


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


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
    wait_for(lambda: [path for path in settings.folder.iterdir() if NAME.fullmatch(path.name)])


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
