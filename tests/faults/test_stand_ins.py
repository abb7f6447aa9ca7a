"""Whole scans of the peers that we know, as bytes that were recorded and as they behave."""

from __future__ import annotations

import dataclasses
import socket
import textwrap
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import WAVEFORM_HEADER, Acquisition, Close, Error, Waveform
from gadgetron_qsm.mrd.wire import read_message
from tests import encoded
from tests.end_to_end.peers import Gadget, Peer
from tests.faults import small_scan
from tests.faults.gadgetron_server import NO_CLOSE, through
from tests.faults.python_client import PythonClient
from tests.faults.served import SERIES, connected
from tests.recorded import cut

NUL = b"\0"
NAME, HEADER = small_scan.config_name("fast"), small_scan.text(3, small_scan.HEADER, NUL)
LINES = small_scan.scan_of("acquisitions")


@pytest.fixture(scope="module")
def serve(served_by):
    return served_by("serve")


@pytest.fixture(scope="module")
def resident(served_by):
    return served_by("gadget")


def waveform():
    head = np.zeros((), WAVEFORM_HEADER)
    head["channels"], head["number_of_samples"] = 1, 100
    return encoded.message(Waveform(head[()], np.zeros((1, 100), np.uint32)))


def assert_has_the_series(client, maps):
    assert (client.texts, client.unknown, client.closed, client.aborted) == ([], [], True, False)
    assert [client.meta(n)["gadgetron_qsm_map"].strip('"') for n in range(len(maps))] == maps
    assert all(np.isfinite(image.data).all() for image in client.images)


def test_the_python_clients_recorded_scan_gives_images_that_it_reads(serve, recorded):
    client = PythonClient(serve.port).run(cut(recorded("client_python_ismrmrd_server")))
    assert_has_the_series(client, ["chi", "r2star", *["magnitude"] * 3])
    assert client.meta(0)["DataRole"] == ["Image", "Quantitative"]
    assert serve.settles()


@pytest.mark.parametrize(
    "data",
    [
        [small_scan.text(5, '{"parameters": {"r2star": "False"}}', NUL), *LINES],
        [waveform(), waveform(), *LINES],
        small_scan.scan_of("images"),
    ],
    ids=["parameters", "waveforms", "images"],
)
def test_what_else_the_python_client_may_send_gives_images(serve, data):
    client = PythonClient(serve.port).run([NAME, HEADER, *data, small_scan.CLOSE])
    names = ["chi", "magnitude", "magnitude"] if data[0][:2] == b"\x05\0" else SERIES
    assert_has_the_series(client, names)


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ([NAME, small_scan.text(3, "Dummy XML header", NUL), *LINES], "not valid XML"),
        ([NAME, HEADER, *LINES[:-3]], "3 of 240 lines are missing"),
        ([small_scan.config_name("invertcontrast"), HEADER, *LINES], "no configuration is named"),
    ],
    ids=["no header in the file", "incomplete", "a name of another server"],
)
def test_the_python_client_is_told_in_a_line_that_it_prints(serve, messages, line):
    client = PythonClient(serve.port).run([*messages, small_scan.CLOSE])
    (told,) = [text for text in client.texts if not text.startswith("WARNING ")]
    assert told.startswith("ERROR   ")
    assert line in told
    assert (client.images, client.unknown, client.closed) == ([], [], True)
    assert serve.settles()


def test_a_python_client_that_is_refused_early_can_send_no_more_and_hears_why(serve):
    many = [*LINES[:8], *LINES[8:] * 100]
    client = PythonClient(serve.port).run([small_scan.config_name("no"), HEADER, *many])
    assert client.texts[0].startswith("ERROR   no configuration is named")
    assert serve.settles()
    assert "Traceback" not in serve.log_since()


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
