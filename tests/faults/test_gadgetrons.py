"""Whole scans of a Gadgetron, as bytes that were recorded and as it behaves with its gadgets."""

from __future__ import annotations

import dataclasses
import socket
import textwrap
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from gadgetron_qsm.mrd.messages import Acquisition, Close, Error
from gadgetron_qsm.mrd.wire import read_message
from tests import encoded
from tests.end_to_end.peers import Gadget, Peer
from tests.faults import small_scan
from tests.faults.gadgetron_server import NO_CLOSE, through
from tests.faults.served import SERIES, connected
from tests.recorded import cut


@pytest.fixture(scope="module")
def resident(served_by):
    return served_by("gadget")


@pytest.mark.parametrize(
    "name", ["server_acquisitions_r2", "server_bucket_r2", "server_imagearray_r2"]
)
def test_what_a_gadgetron_sent_is_passed_on_as_images_that_it_takes(resident, recorded, name):
    with connected(resident.port) as sock:
        seen = through(Peer(sock), cut(recorded(name)))
    assert (seen.lines, seen.crashed) == ([], False)
    assert [volume.name for volume in seen.maps] == ["chi", "r2star", *["magnitude"] * 3]
    series = [int(image.head["image_series_index"]) for image in seen.images]
    shapes = {index: image.data.shape for index, image in zip(series, seen.images, strict=True)}
    assert all(image.data.shape == shapes[n] for n, image in zip(series, seen.images, strict=True))


@pytest.mark.parametrize("early", [True, False])
def test_a_gadget_that_fails_before_the_close_crashes_a_gadgetron(early):
    ours, theirs = socket.socketpair()
    said = encoded.message(Error("no")) + small_scan.CLOSE

    def fail():
        with theirs, theirs.makefile("rb") as incoming:
            read_message(incoming)
            if early:
                theirs.sendall(said)
            while not isinstance(read_message(incoming), Close):
                pass
            if not early:
                theirs.sendall(said)

    with ours, ThreadPoolExecutor(1) as gadget:
        gadget.submit(fail)
        seen = through(Peer(ours), small_scan.stream())
    assert (seen.lines, seen.crashed) == (["no"], early)


def cut_short():
    """Two repetitions, of which the second lacks lines."""
    *messages, close = small_scan.stream("repetitions")
    return [*messages[:-4], close]


def test_a_gadgetron_has_the_images_of_the_first_repetition_when_the_second_fails(resident):
    with connected(resident.port) as sock:
        gadget = Peer(sock)
        seen = through(gadget, cut_short())
    assert not seen.crashed
    assert [volume.name for volume in seen.maps] == SERIES
    (line,) = seen.lines
    assert line.startswith("repetition 2: 4 of 240 lines are missing")


RAISES = """
    from gadgetron_qsm import chain, gadgets

    whole = chain.qsm

    def fails_behind_chi(messages, header, settings):
        for number, image in enumerate(whole(messages, header, settings)):
            if number == 1:
                raise KeyError("r2star")
            yield image

    chain.qsm = fails_behind_chi
    qsm = gadgets.qsm
"""


def test_a_gadget_that_raises_what_nobody_foresaw_sends_its_images_and_the_text(tmp_path):
    (tmp_path / "raises.py").write_text(textwrap.dedent(RAISES))
    process = Gadget("qsm", tmp_path, module="raises")
    try:
        seen = through(process, small_scan.stream(), before_close=process.becomes_idle)
        assert process.status(within_s=10) == 1
    finally:
        process.end()
    assert [volume.name for volume in seen.maps] == ["chi"]
    assert seen.lines == ["the chain failed: KeyError: 'r2star'"]
    assert not seen.crashed
    assert "Traceback" in process.log


def test_a_gadgetron_notices_a_gadget_that_was_killed(tmp_path):
    process = Gadget("qsm", tmp_path)

    def kill():
        assert process.becomes_idle()
        process.process.kill()

    try:
        seen = through(process, small_scan.stream(), before_close=kill)
    finally:
        process.end()
    assert (seen.images, seen.lines) == ([], [NO_CLOSE])


def test_a_resident_process_that_finds_nonsense_tells_a_gadgetron_behind_its_close(resident):
    line = small_scan.readouts()[20]
    head = line.head.copy()
    head["idx"]["kspace_encode_step_1"] = 999
    beyond = encoded.message(dataclasses.replace(line, head=head))
    *messages, close = small_scan.stream()
    with connected(resident.port) as sock:
        seen = through(Peer(sock), [*messages, beyond, close])
    assert not seen.crashed
    (told,) = seen.lines
    assert "lies outside the 12 encoded" in told


def test_recorded_streams_are_cut_into_their_messages(recorded):
    messages = cut(recorded("client_gadgetron"))
    assert len(messages) == 2 + 1172 + 1
    kinds = [type(read_message(BytesIO(message))) for message in messages]
    assert kinds.count(Acquisition) == 1172
    assert kinds[-1] is Close
