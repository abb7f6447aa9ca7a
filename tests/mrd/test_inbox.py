from __future__ import annotations

import threading

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.inbox import Inbox
from gadgetron_qsm.mrd.messages import Bucket, DicomFile, ImageArray, ReconBuffer, ReconData, Text


@pytest.fixture
def filler():
    """A function that fills an inbox from a thread, and says how many messages it has put."""
    inboxes, threads = [], []

    def fill(inbox, messages):
        put = []

        def run():
            for message in messages:
                if not inbox.put(message):
                    return
                put.append(message)

        inboxes.append(inbox)
        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return put, threads[-1]

    yield fill
    for inbox in inboxes:
        inbox.end()
    for thread in threads:
        thread.join()


def test_messages_come_out_as_they_went_in():
    inbox = Inbox()
    for name in "abc":
        inbox.put(Text(name))
    assert [message.text for message in inbox.take()] == ["a", "b", "c"]


KINDS = [
    "readout",
    "trajectory",
    "waveform",
    "bucket",
    "waveforms of a bucket",
    "recon data",
    "image",
    "meta of an image",
    "image array",
    "headers of an image array",
    "metas of an image array",
    "dicom",
    "meta of a dicom file",
    "text",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_inbox_makes_its_filler_wait_until_messages_are_taken(
    filler, make_acquisition, make_waveform, make_image, kind
):
    readout = make_acquisition(channels=4, samples=1 << 15)  # 1 MiB
    wave = make_waveform(channels=8, samples=1 << 15)
    buffer = ReconBuffer(readout.data, np.empty(0), None)
    small, large = np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 1, 512, 512), np.float32)
    long = "x" * readout.data.nbytes
    message = {
        "readout": readout,
        "trajectory": make_acquisition(channels=1, samples=1 << 15, dimensions=6),
        "waveform": wave,
        "bucket": Bucket([], [readout]),
        "waveforms of a bucket": Bucket([], [], [wave]),
        "recon data": ReconData([(buffer, None)]),
        "image": make_image(large),
        "meta of an image": make_image(small, long),
        "image array": ImageArray(readout.data, small, []),
        "headers of an image array": ImageArray(small, large, []),
        "metas of an image array": ImageArray(small, small, [long[::2]] * 2),
        "dicom": DicomFile(bytes(readout.data.nbytes), "chi"),
        "meta of a dicom file": DicomFile(b"", "chi", long),
        "text": Text(long),
    }[kind]
    inbox = Inbox(capacity=int(2.5 * readout.data.nbytes))
    put, thread = filler(inbox, [message] * 5)
    thread.join(0.2)
    assert len(put) == 3
    assert len(inbox.take()) == 3
    thread.join(5)
    assert len(put) == 5


def test_a_message_larger_than_the_inbox_gets_through(filler, make_acquisition):
    inbox = Inbox(capacity=10)
    put, thread = filler(inbox, [make_acquisition()])
    thread.join(5)
    assert len(put) == len(inbox.take()) == 1


def test_who_fills_hears_that_nobody_takes_any_more(filler, make_acquisition):
    inbox = Inbox(capacity=1)
    _, thread = filler(inbox, [make_acquisition()] * 3)
    inbox.end()
    thread.join(5)
    assert not thread.is_alive()


def test_what_ended_the_stream_is_raised_behind_the_messages_before_it():
    inbox = Inbox()
    inbox.put(Text("last"))
    inbox.end(QsmError("broken"))
    assert [message.text for message in inbox.take()] == ["last"]
    for _ in range(2):
        with pytest.raises(QsmError, match="broken"):
            inbox.take()


def test_the_end_is_empty_again_and_again():
    inbox = Inbox()
    inbox.end()
    assert not inbox.take()
    assert not inbox.take()


def test_waiting_ends_when_nothing_comes():
    with pytest.raises(TimeoutError):
        Inbox().take(0.01)
