"""Recorded bytes of real clients through `serve`, and of Gadgetron through a resident process."""

from __future__ import annotations

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


def test_a_resident_process_gives_a_chain_what_a_started_one_gives(resident, through, recorded):
    stream = recorded("server_images_r2")
    started = through("qsm", stream)
    for _ in range(2):  # it stays for the next scan
        with resident.client() as gadgetron:
            gadgetron.send(stream)
            answer = gadgetron.answer()
        assert [volume.name for volume in answer.maps] == [v.name for v in started.maps]
        np.testing.assert_array_equal(answer.map("chi").data, started.map("chi").data)
