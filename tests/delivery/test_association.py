"""pynetdicom's association: no answer is lost, no wait is endless, and nothing reaches the log."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from gadgetron_qsm.delivery.nodes import Caller, Later
from gadgetron_qsm.delivery.store import VERIFICATION, Answer, store
from tests.delivery.objects import objects
from tests.delivery.peers import accepting, peer, response, scripted

C_STORE_RSP = 0x8001
RELEASE = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])  # A-RELEASE-RQ, PS3.8 9.3.6


def test_no_answer_is_lost_to_the_thread_that_looks_for_requests():
    from pynetdicom import evt

    from gadgetron_qsm.delivery.association import Association

    def never_paused(event):
        event.assoc._reactor_checkpoint.set()

    offered, handlers = (VERIFICATION, ImplicitVRLittleEndian), [(evt.EVT_DIMSE_SENT, never_paused)]
    caller = Caller(timeout_s=1)
    with scripted() as node, Association(node, caller, [offered], handlers) as association:
        assert [association.echo() for _ in range(200)] == [0] * 200


def answering_after(pause_s):
    """A peer that takes all that comes, and says after a pause that it has stored an object."""

    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting(MRImageStorage, ExplicitVRLittleEndian))
        connection.settimeout(0.1)
        with suppress(TimeoutError):
            while connection.recv(1 << 16):
                pass
        time.sleep(pause_s)
        connection.sendall(response(C_STORE_RSP))
        connection.settimeout(5)
        connection.recv(1 << 16)

    return peer(behave)


def test_an_object_may_take_as_long_as_a_slow_network_needs_for_it():
    (large,) = objects(1, side=512)  # 0.5 MB
    with answering_after(0.8) as node:
        assert list(store(node, Caller(timeout_s=0.5), [large])) == [Answer(large.key)]
    (small,) = objects(1)
    with answering_after(0.8) as node, pytest.raises(Later, match=r"silent for 0\.5 s"):
        list(store(node, Caller(timeout_s=0.5), [small]))


def test_a_node_that_stops_in_the_middle_of_an_answer_is_not_waited_for_longer():
    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting(MRImageStorage, ExplicitVRLittleEndian))
        connection.recv(1 << 16)
        connection.sendall(response(C_STORE_RSP)[:20])
        with suppress(socket.timeout):
            connection.settimeout(5)
            while connection.recv(1 << 16):
                pass

    start = time.monotonic()
    with peer(behave) as node, pytest.raises(Later, match=r"silent for 0\.5 s"):
        list(store(node, Caller(timeout_s=0.5), objects(1)))
    assert time.monotonic() - start < 3


def test_nothing_of_what_is_sent_reaches_the_log(caplog):
    from pynetdicom import evt

    (sent,) = objects(1)
    with caplog.at_level(logging.DEBUG), scripted([(evt.EVT_C_STORE, lambda _: 0xC000)]) as node:
        assert [answer.refused is None for answer in store(node, Caller(), [sent])] == [False]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("end", "said"),
    [(RELEASE, "ended the association"), (b"HTTP/1.1 400 Bad Request\r\n", "speak DICOM")],
)
def test_an_answer_that_cannot_come_any_more_is_not_waited_for(end, said):
    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting(MRImageStorage, ExplicitVRLittleEndian))
        connection.recv(1 << 16)
        connection.sendall(end)
        while connection.recv(1 << 16):
            pass

    start = time.monotonic()
    with peer(behave) as node, pytest.raises(Later, match=said):
        list(store(node, Caller(timeout_s=20), objects(1)))
    assert time.monotonic() - start < 10
