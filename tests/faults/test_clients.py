"""Whole scans of the clients that we know, as bytes that were recorded and as they behave."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import WAVEFORM_HEADER, DicomFile, Image, Waveform
from tests import encoded
from tests.faults import small_scan
from tests.faults.asked import BY_DEFAULT, CONFIGURATIONS
from tests.faults.gadgetron_client import GadgetronClient
from tests.faults.python_client import PythonClient
from tests.faults.served import SERIES
from tests.recorded import cut

NUL = b"\0"
NAME, HEADER = small_scan.config_name("fast"), small_scan.text(3, small_scan.HEADER, NUL)
LINES = small_scan.scan_of("acquisitions")


@pytest.fixture(scope="module")
def serve(served_by):
    return served_by("serve")


def waveform():
    head = np.zeros((), WAVEFORM_HEADER)
    head["channels"], head["number_of_samples"] = 1, 100
    return encoded.message(Waveform(head[()], np.zeros((1, 100), np.uint32)))


def images_of(*shapes):
    """Images of one series."""
    head = small_scan.images()[0].head
    sent = [Image(head, np.zeros(shape, np.float32)) for shape in shapes]
    return b"".join(map(encoded.message, sent))


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
    assert client.aborted
    assert serve.settles()
    assert "Traceback" not in serve.log_since()


def test_gadgetrons_recorded_client_gets_images_that_it_can_file(serve, recorded):
    client = GadgetronClient(serve.port).run(cut(recorded("client_gadgetron")))
    assert client.failures == []
    assert_has_the_series(client, ["chi", "r2star", *["magnitude"] * 3])


@pytest.mark.parametrize("asked", ["every map", "slices"])
def test_gadgetrons_client_can_file_whatever_is_asked_for(serve, asked):
    config = small_scan.config_text(CONFIGURATIONS[asked])
    client = GadgetronClient(serve.port).run(small_scan.stream(config=config))
    assert (client.failures, client.texts) == ([], [])
    assert {client.meta(n)["gadgetron_qsm_map"].strip('"') for n in range(len(client.images))} == (
        set(CONFIGURATIONS[asked].get("deliver.maps", BY_DEFAULT).split(","))
    )


def test_gadgetrons_client_prints_why_there_is_no_result(serve):
    client = GadgetronClient(serve.port).run([NAME, HEADER, *LINES[:-3], small_scan.CLOSE])
    (line,) = client.texts
    assert "3 of 240 lines are missing" in line
    assert (client.images, client.failures) == ([], [])


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (b"", ["the connection ended"]),
        (encoded.message(DicomFile(b"", "chi", "<meta/>")), ["unknown message id 1018"]),
        (
            images_of((1, 2, 3, 4), (1, 2, 3, 5)),
            ["series 0 has images of (1, 2, 3, 4) and (1, 2, 3, 5)"],
        ),
    ],
)
def test_gadgetrons_client_fails_by_what_it_does_not_know(answer, failures):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = GadgetronClient(listener.getsockname()[1])
        with listener.accept()[0] as server:
            server.sendall(answer + (small_scan.CLOSE if answer else b""))
        assert client.run([]).failures == failures
