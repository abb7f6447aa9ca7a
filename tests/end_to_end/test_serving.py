"""Recorded bytes of real clients through `serve`, and of Gadgetron through a resident process."""

from __future__ import annotations

import struct

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["client_gadgetron", "client_python_ismrmrd_server"])
def test_what_real_clients_send_gives_the_series_of_the_scan(server, recorded, truth, name):
    with server.client() as peer:
        peer.send(recorded(name))
        answer = peer.answer()
    assert answer.refusals == []
    assert [volume.name for volume in answer.maps] == ["chi", "r2star", *["magnitude"] * 3]
    chi = answer.map("chi")
    assert chi.data.shape == truth["chi"].shape
    np.testing.assert_allclose(chi.geometry.position, truth["position"], atol=1e-4)
    np.testing.assert_allclose(chi.geometry.b0_direction, truth["b0dir"], atol=1e-6)
    nuclei = np.isin(truth["labels"], range(1, 8)) & (chi.data != 0)
    assert np.corrcoef(chi.data[nuclei], truth["chi"][nuclei])[0, 1] > 0.5


CONFIG_NAME_BYTES, LENGTH = 2 + 1024, struct.Struct("<HI")


def with_parameters(stream: bytes, text: str) -> bytes:
    """Put a TEXT, NUL-terminated as Python's client sends it, behind the header of a stream."""
    _, size = LENGTH.unpack_from(stream, CONFIG_NAME_BYTES)
    at = CONFIG_NAME_BYTES + LENGTH.size + size
    encoded = text.encode() + b"\0"
    return stream[:at] + LENGTH.pack(5, len(encoded)) + encoded + stream[at:]


@pytest.mark.parametrize(
    ("text", "maps", "refusals"),
    [
        ('{"version": "1.1.0", "parameters": {"magnitude": "False"}}', ["chi", "r2star"], []),
        ('{"parameters": {"magnitud": true}}', [], ["did you mean 'magnitude'"]),
    ],
)
def test_parameters_behind_the_header_are_taken_or_refused(server, recorded, text, maps, refusals):
    with server.client() as peer:
        peer.send(with_parameters(recorded("client_python_ismrmrd_server"), text))
        answer = peer.answer()
    assert [volume.name for volume in answer.maps] == maps
    assert len(answer.refusals) == len(refusals)
    assert all(words in text for words, text in zip(refusals, answer.refusals, strict=True))


def test_a_resident_process_gives_a_chain_what_a_started_one_gives(resident, through, recorded):
    stream = recorded("server_images_r2")
    started = through("qsm", stream)
    for _ in range(2):  # it stays for the next scan
        with resident.client() as gadgetron:
            gadgetron.send(stream)
            answer = gadgetron.answer()
        assert [volume.name for volume in answer.maps] == [v.name for v in started.maps]
        np.testing.assert_array_equal(answer.map("chi").data, started.map("chi").data)


@pytest.mark.parametrize(
    ("command", "name"),
    [("serve", "client_python_ismrmrd_server"), ("gadget", "server_images_r2")],
)
def test_what_the_site_says_holds_for_those_who_name_a_configuration(
    started, recorded, command, name
):
    with started(command, preset="fast", deliver__maps="chi").client() as peer:
        peer.send(recorded(name))
        answer = peer.answer()
    assert answer.refusals == []
    assert [volume.name for volume in answer.maps] == ["chi"]
