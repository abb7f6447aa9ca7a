"""The targets without a process: what they take, and how a fault of the chain ends."""

from __future__ import annotations

import json
import socket
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from gadgetron_qsm import chain, configs, gadgets
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.messages import (
    WAVEFORM_HEADER,
    Close,
    ConfigFile,
    ConfigText,
    Error,
    HeaderText,
    Image,
    Text,
    Waveform,
)
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.server.serving import serve_one
from tests.sphere_scan import header_text

SCAN = header_text()
GEOMETRY = Geometry((2, 3, 4), (1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))


def through(target, *messages, config="<configuration/>"):
    """What Gadgetron gets from a target that it sends messages and CLOSE, and the exit status."""
    ours, gadgetron = socket.socketpair()
    raw = SimpleNamespace(config=config.encode(), header=SCAN.encode())
    status = []

    def run():
        connection = SimpleNamespace(socket=SimpleNamespace(socket=ours), raw_bytes=raw)
        try:
            target(connection)
        except SystemExit as end:
            status.append(end.code)
        finally:
            connection.socket.close()

    thread = threading.Thread(target=run)
    thread.start()
    gadgetron.settimeout(10)
    with gadgetron, gadgetron.makefile("rwb") as stream:
        for message in (*messages, Close()):
            write_message(stream, message)
        stream.flush()
        answer = list(iter(lambda: read_message(stream), Close()))
    thread.join(5)
    return answer, *status


def a_map(name, unit):
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return map_to_image(Map(name, data, unit, GEOMETRY), 1)


def test_deliver_passes_over_what_is_no_image():
    waveform = Waveform(np.zeros((), WAVEFORM_HEADER)[()], np.zeros((0, 0), np.uint32))
    answer = through(gadgets.deliver, waveform, a_map("chi", "ppb"), Text("hello"))
    (messages,) = answer
    assert [type(message) for message in messages] == [Image]


def test_deliver_refuses_images_of_others():
    image = a_map("chi", "ppb")
    foreign = Image(image.head, image.data, "<ismrmrdMeta></ismrmrdMeta>")
    messages, status = through(gadgets.deliver, foreign)
    assert "no map of gadgetron-qsm" in messages[0].text
    assert status == 1


def test_deliver_without_a_map_to_deliver_fails():
    messages, status = through(gadgets.deliver, a_map("mask", ""))
    assert messages[0].text == "none of the maps chi, r2star, magnitude came to be delivered"
    assert status == 1


@pytest.mark.parametrize(
    "key", ["deliver.dicom_folder", "store.nodes", "store.outbox", "store.ca_file", "store.xyz"]
)
def test_a_client_may_not_have_the_server_write_to_its_disk_or_send_elsewhere(key, tmp_path):
    asked = {"inversion.method": "tkd", key: str(tmp_path)}
    config = ConfigText("<configuration/>")
    client = SimpleNamespace(config=config, properties=asked, header_text=SCAN, peek=lambda: None)
    with pytest.raises(QsmError, match=f"clients may not set {key}"):
        gadgets.serve_scan(client)


def test_a_fault_in_the_chain_is_told_in_one_line_and_fails(monkeypatch):
    def broken(*_):
        raise RuntimeError("a text\nof two lines\n")

    monkeypatch.setattr(chain, "qsm", broken)
    messages, status = through(gadgets.qsm)
    (error,) = messages
    assert isinstance(error, Error)
    assert error.text == "the chain failed: RuntimeError: a text of two lines"
    assert status == 1


@pytest.fixture
def half_made(monkeypatch):
    """Have the chain deliver chi when all has come, and then fail."""

    def chi_alone(messages, *_):
        list(messages)
        yield a_map("chi", "ppb")
        raise QsmError("r2star: no memory")

    monkeypatch.setattr(chain, "qsm", chi_alone)


@pytest.mark.usefixtures("half_made")
def test_a_gadgetron_gets_the_images_made_before_the_chain_failed_and_why_it_did():
    messages, status = through(gadgets.qsm)
    assert [type(message) for message in messages] == [Image, Error]
    assert messages[1].text == "r2star: no memory"
    assert status == 1


@pytest.mark.usefixtures("half_made")
def test_a_client_of_our_server_gets_the_images_made_before_and_why_there_are_no_more():
    ours, client = socket.socketpair()
    outcome = []
    serving = threading.Thread(
        target=lambda: outcome.append(
            serve_one(ours, gadgets.serve_scan, Connection.fail_as_server)
        )
    )
    serving.start()
    with client, client.makefile("rwb") as stream:
        for message in (ConfigText("<configuration/>"), HeaderText(SCAN), Close()):
            write_message(stream, message)
        stream.flush()
        image, text = iter(lambda: read_message(stream), Close())
    serving.join(5)
    assert isinstance(image, Image)
    assert text == Text("ERROR   r2star: no memory")
    assert outcome == ["failed"]


@pytest.fixture
def served(monkeypatch):
    """A function that serves a scan with the chain stopped, and returns the settings it had."""
    given = []
    monkeypatch.setattr(chain, "qsm", lambda _, __, settings: given.append(settings) or [])

    def run(config, properties, first=None, site=()):
        connection = SimpleNamespace(
            config=config,
            properties=properties,
            header_text=SCAN,
            peek=lambda: first,
            send=lambda _: None,
        )
        gadgets.serve_scan(connection, dict(site))
        return given.pop()

    return run


def test_a_configuration_by_name_is_read_for_its_settings(served, tmp_path, monkeypatch):
    (tmp_path / "standard.xml").write_text(configs.load("standard"))
    monkeypatch.setattr(configs, "FOLDER", tmp_path)
    (tmp_path / "site.xml").write_text(
        '<configuration><property name="coils.smoothing_mm" value="9"/></configuration>'
    )
    assert served(ConfigFile("site"), {}).coils.smoothing_mm == 9
    assert served(ConfigFile("site.xml"), {}).coils.smoothing_mm == 9
    with pytest.raises(QsmError, match="no configuration is named 'other'; there are site"):
        served(ConfigFile("other"), {})


def test_a_configuration_as_text_is_read_for_its_settings(served):
    settings = served(ConfigText("..."), {"coils.smoothing_mm": "3"})
    assert settings.coils.smoothing_mm == 3


def test_a_client_without_a_configuration_gets_the_defaults(served):
    assert served(None, {}) == type(served(None, {}))()


def asked(**parameters):
    return Text(json.dumps({"version": "1.1.0", "parameters": parameters}))


def test_parameters_of_the_operator_change_what_the_configuration_says(served):
    settings = served(ConfigText("..."), {"coils.smoothing_mm": "3"}, asked(reference="csf"))
    assert (settings.coils.smoothing_mm, settings.reference.region) == (3, "csf")


def test_a_configuration_of_the_operator_takes_the_clients_place_but_not_the_sites(served):
    site = {"identity.patient_id": "{user.Subject}", "mask.two_pass": "true"}
    settings = served(ConfigFile("qsm"), {}, asked(config="fast", swi="True"), site)
    assert (settings.preset, settings.inversion.parameters["iterations"]) == ("fast", 12)
    assert settings.identity.patient_id == "{user.Subject}"
    assert settings.deliver.maps == ("chi", "r2star", "magnitude", "swi", "swi_mip")


def test_a_text_that_is_no_json_is_passed_over(served):
    assert served(None, {}, Text("INFO the scan begins")) == served(None, {})
