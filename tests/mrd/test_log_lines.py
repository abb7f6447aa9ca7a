"""What our log warns of during a scan reaches the client of our own server, and nothing else."""

from __future__ import annotations

import logging

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.client import stream
from gadgetron_qsm.mrd.messages import ConfigText, Text
from gadgetron_qsm.site.log_lines import warnings_told

HOST, CONFIG = "127.0.0.1", ConfigText("<configuration/>")
ours = logging.getLogger("gadgetron_qsm.chain")


def test_warnings_go_out_once_each_in_one_line_behind_their_level(connected, answers):
    connection, peer = connected
    with warnings_told(connection):
        ours.info("nothing")
        for _ in range(2):
            ours.warning("noise is\n%s", "missing")
        ours.error("the archive is full")
        logging.getLogger("elsewhere").warning("nothing")
        for others in ("delivery.sender", "spool.recovery", "spool.folder"):
            logging.getLogger(f"gadgetron_qsm.{others}").warning("another scan")
    ours.warning("too late")
    peer.sendall(b"\4\0")
    connection.close()
    assert answers(peer) == [Text("WARNING noise is missing"), Text("WARNING the archive is full")]


def test_a_client_that_has_gone_does_not_disturb_the_scan(connected):
    connection, peer = connected
    peer.close()
    with warnings_told(connection):
        for number in range(100):
            ours.warning("line %d %s", number, "x" * 900)
    assert logging.getLogger("gadgetron_qsm").handlers == []


def test_our_client_takes_a_warning_for_no_error_and_hands_it_on(serving, raw_file):
    def handler(connection):
        with warnings_told(connection):
            list(connection)
            ours.warning("the noise is missing")
        connection.send(Text("done"))

    messages = list(stream(raw_file, HOST, serving(handler), CONFIG))
    assert messages == [Text("WARNING the noise is missing"), Text("done")]


def test_an_error_behind_a_warning_is_an_error(serving, raw_file):
    def handler(connection):
        with warnings_told(connection):
            ours.warning("the noise is missing")
            raise QsmError("no echo times")

    with pytest.raises(QsmError, match="reports: no echo times"):
        list(stream(raw_file, HOST, serving(handler), CONFIG))
