"""What a worker outlives, and what is said of it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import WAVEFORM_HEADER, Close, Error, Waveform
from gadgetron_qsm.mrd.wire import read_message
from gadgetron_qsm.site import scans
from tests.server.jobs import Mute, Told

HEAD = np.zeros((), WAVEFORM_HEADER)
HEAD["channels"], HEAD["number_of_samples"] = 4, 1 << 14
WAVES = Waveform(HEAD[()], np.zeros((4, 1 << 14), np.uint32))  # 256 KiB, which nobody looks at


def test_a_failure_that_cannot_be_told_kills_no_process_and_the_next_client_is_served(serve, until):
    ended = []
    with scans.listening(ended.append):
        served = serve(Mute(), connections=1)
        assert served.client("refuse this").rest() == []
        assert served.client().finish()
        until(lambda: [summary.outcome for summary in ended] == ["failed", "done"])


def test_a_gadgetron_that_sends_on_when_its_scan_is_ended_is_told_behind_its_close(serve):
    served = serve(Told(inside_gadgetron=True), longest_s=0.3)
    client = served.client()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:  # until well after its scan was ended
        client.send(*[WAVES] * 4)
    client.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    client.socket.settimeout(10)
    client.send(Close())
    with client.socket.makefile("rb") as stream:
        assert isinstance(told := read_message(stream), Error)
        assert isinstance(read_message(stream), Close)
    assert told.text == "the scan took longer than 0.3 s (server.longest_s)"
