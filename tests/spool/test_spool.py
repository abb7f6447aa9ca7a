"""Raw data on disk as they come, and a scan that never waits for them for long."""

from __future__ import annotations

import dataclasses
import re
import stat
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
from gadgetron_qsm.spool.recovery import recover, replay_command
from gadgetron_qsm.spool.spool import Spool
from tests.spool.passing import FAILURE, is_readout, on_disk, readouts_in, spooled, wait_for

NAME = re.compile(r"\d{8}T\d{12}Z_[0-9a-f]{8}\.h5")


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
