"""Whatever is wrong with a node is told in one line that names it and says what to do."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import MRImageStorage

from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.store import VERIFICATION, echo, store
from tests.delivery.objects import objects
from tests.delivery.peers import accepting, peer, response, scripted
from tests.delivery.servers import HOST, Orthanc, StoreScp, free_port

REJECTED, P_DATA = 3, 4  # types of unit, PS3.8 9.3
RELEASE, RELEASED = (struct.pack(">BxIxxxx", kind, 4) for kind in (5, 6))
ABORT = struct.pack(">BxIxxBB", 7, 4, 0, 0)
QUICK = Caller(timeout_s=0.5)
PATIENT = Caller(timeout_s=20)


def line(node, caller=PATIENT, sent=None):
    """What is said when an echo, or `sent`, does not get through."""
    with pytest.raises(Later) as later:
        list(store(node, caller, sent)) if sent else echo(node, caller)
    said = str(later.value)
    assert said.startswith(f"{node.name}: ")
    assert "\n" not in said
    return said


def test_nobody_listens():
    said = line(Node("archive", "PACS", HOST, free_port()))
    assert "nobody listens" in said
    assert "start the node" in said


def test_an_unknown_host():
    assert "unknown" in line(Node("archive", "PACS", "no-such-host.invalid", 104))


def test_a_host_that_no_name_server_could_know():
    assert "unknown" in line(Node("archive", "PACS", "a" * 64 + ".example", 104))


def test_a_host_that_does_not_answer():
    with socket.socket() as full:  # a queue of connections that nobody takes
        full.bind((HOST, 0))
        full.listen(0)
        waiting = []
        for _ in range(2):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        said = line(Node("archive", "PACS", HOST, full.getsockname()[1]), QUICK)
        for connection in waiting:
            connection.close()
    assert "does not answer within 0.5 s" in said


def test_a_wrong_called_title(serve):
    node = replace(serve(Orthanc).node, title="OTHER")
    assert "it is not titled 'OTHER'" in line(node)


def test_orthanc_does_not_know_our_title(serve):
    strict = {"DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False}
    node = serve(Orthanc, caller="SOMEBODY", **strict).node
    assert "does not know our title 'GADGETRON_QSM'" in line(node)


def test_orthanc_lets_us_greet_but_not_store(serve):
    node = serve(Orthanc, caller="SOMEBODY", DicomAlwaysAllowStore=False).node
    echo(node, PATIENT)
    assert "whether we may store" in line(node, sent=objects(1))


def test_a_calling_title_that_the_node_does_not_know():
    with scripted(require_calling_aet=["SOMEBODY"]) as node:
        assert "does not know our title 'GADGETRON_QSM'" in line(node)


@pytest.mark.parametrize(
    ("source", "reason", "said"),
    [
        (1, 1, "without a reason"),
        (1, 3, "does not know our title"),
        (1, 7, "is not titled 'PEER'"),
        (2, 2, "another version"),
        (3, 1, "congested"),
        (3, 2, "as many associations as it allows"),
        (1, 9, "source 1, reason 9"),
    ],
)
def test_every_reason_of_a_rejection_is_told(source, reason, said):
    rejection = struct.pack(">BxIxBBB", REJECTED, 4, 2, source, reason)

    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(rejection)

    with peer(behave) as node:
        assert said in line(node)


def test_a_refused_association(serve):
    assert "refused the association" in line(serve(StoreScp, "--refuse").node)


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_an_aborted_association(serve, option):
    said = line(serve(StoreScp, option).node, sent=objects(2, side=256))
    assert "aborted the association" in said or "broke off" in said  # as it had read all, or not


def test_a_node_that_takes_none_of_our_objects():
    with scripted(classes=[VERIFICATION]) as node:
        assert "takes none of our objects" in line(node, sent=objects(1))


def test_a_node_that_takes_no_echo():
    with scripted(classes=[MRImageStorage]) as node:
        assert "takes no verification" in line(node)


def accept_then(answer):
    """A peer that accepts the first context, reads what comes next, and answers as told."""

    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting())
        connection.recv(1 << 16)
        connection.sendall(answer)
        connection.settimeout(5)
        while connection.recv(1 << 16):
            pass

    return peer(behave)


def data(body):
    return struct.pack(">BxI", P_DATA, len(body)) + body


@pytest.mark.parametrize("longest", [1, 6])
def test_an_association_that_lets_no_data_through(longest):
    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting(longest=longest))
        connection.recv(1 << 16)

    with peer(behave) as node:
        assert "does not speak DICOM" in line(node, QUICK)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RELEASE, "ended the association"),
        (ABORT, "aborted the association"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak DICOM"),
        (data(b"\0\0"), "does not speak DICOM"),
        (data(b"\0\0\0\x09\1\3abc"), "does not speak DICOM"),
        (data(b"\0\0\0\2\1\2"), "does not speak DICOM"),
        (data(b"\0\0\0\6\1\3abcd"), "does not speak DICOM"),
        (response(0x8030, message=2), "no question of ours"),
        (response(0x8030, status=0x0110), "processing failure (0110)"),
        (b"\4\0\xff\xff\xff\xff", "silent for 0.5 s"),
        (b"\x09\0\0\0\0\0", "does not speak DICOM"),
        (data(b"\0\0\0\1\1\0abcd"), "does not speak DICOM"),
        (b"", "silent for 0.5 s"),
        (data(b"\0\0\0\6\1\1abcd"), "silent for 0.5 s"),
    ],
)
def test_answers_that_are_none(answer, said):
    with accept_then(answer) as node:
        assert said in line(node, QUICK)


def test_a_node_that_ends_the_association_is_let_go_in_order():
    ours = bytearray()

    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting())
        connection.recv(1 << 16)
        connection.sendall(RELEASE)
        while received := connection.recv(1 << 16):
            ours.extend(received)

    with peer(behave) as node:
        assert "ended the association" in line(node, PATIENT)
    assert bytes(ours) == RELEASED


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=80), st.sampled_from(range(1, 9)), st.booleans())
def test_no_answer_to_a_request_makes_us_fail_otherwise(body, kind, accepts):
    answer = struct.pack(">BxI", kind, len(body)) + body

    def behave(connection):
        connection.recv(1 << 16)
        connection.sendall(accepting() + answer if accepts else answer)

    with peer(behave) as node:
        line(node, QUICK)


def test_a_node_that_closes_at_once_may_want_tls():
    with peer(lambda connection: connection.recv(1 << 16)) as node:
        assert "try TLS" in line(node)


def test_a_node_that_dribbles_is_waited_for_no_longer_than_its_answer_takes():
    def behave(connection):
        connection.recv(1 << 16)
        for byte in accepting():
            connection.sendall(bytes([byte]))
        time.sleep(0.1)

    with peer(behave) as node:
        assert "connection" in line(node, QUICK)  # the answer was taken, and then nothing came
