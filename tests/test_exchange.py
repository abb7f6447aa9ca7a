"""The server that a replay runs for itself, and that any user of the machine may connect to."""

from __future__ import annotations

import pytest

from gadgetron_qsm import exchange
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.client import stream
from gadgetron_qsm.mrd.messages import ConfigText

ITS = {"device.use": "cpu", "kspace.memory_gb": "3", "store.nodes": "A@b:104", "preset": "fast"}


def send(raw_file, text):
    with exchange.served(None, ITS) as address:
        return list(stream(raw_file, *address, ConfigText(text)))


def test_a_client_may_not_have_it_write_to_disk_or_send_elsewhere(raw_file):
    text = '<configuration><property name="deliver.dicom_folder" value="/tmp/x"/></configuration>'
    with pytest.raises(QsmError, match=r"clients may not set deliver\.dicom_folder"):
        send(raw_file, text)


def test_it_computes_where_the_replay_was_told_to(raw_file, monkeypatch):
    had = []
    monkeypatch.setattr(exchange, "serve_resident", lambda _, site: had.append(site))
    assert send(raw_file, "<configuration/>") == []
    assert had == [{"device.use": "cpu", "kspace.memory_gb": "3"}]
