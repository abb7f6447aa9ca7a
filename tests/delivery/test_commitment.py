"""Storage commitment: what a node keeps, and what it does not, comes to know."""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
from pydicom import Dataset

from gadgetron_qsm.delivery import acceptor, commitment
from gadgetron_qsm.delivery.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Listener, ask
from gadgetron_qsm.delivery.nodes import Caller, Later
from gadgetron_qsm.delivery.store import VERIFICATION, store
from gadgetron_qsm.delivery.tls import context_of, listening_context_of
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.settings import Settings
from tests.delivery.certificates import Authority
from tests.delivery.clock import until
from tests.delivery.objects import objects
from tests.delivery.peers import scripted
from tests.delivery.servers import HOST, Orthanc, StoreScp

CALLER = Caller(timeout_s=10)
TRANSACTION = "2.25.4711"


@pytest.fixture
def reports():
    return queue.Queue()


@pytest.fixture
def listener(reports):
    def put(*report):
        reports.put(report)

    with Listener(HOST, 0, CALLER.title, put) as listening:
        yield listening


def references(sent):
    return [(item.class_uid, item.instance_uid) for item in sent]


def test_orthanc_commits_itself_to_what_it_has(serve, listener, reports):
    server = serve(Orthanc, reports_to=listener.port)
    sent = objects(5)
    list(store(server.node, CALLER, sent))
    ask(server.node, CALLER, TRANSACTION, references(sent))
    transaction, kept, failed = reports.get(timeout=20)
    assert transaction == TRANSACTION
    assert sorted(kept) == sorted(item.instance_uid for item in sent)
    assert failed == {}


def test_orthanc_names_what_it_does_not_have(serve, listener, reports):
    server = serve(Orthanc, reports_to=listener.port)
    *sent, never_sent = objects(3)
    list(store(server.node, CALLER, sent))
    ask(server.node, CALLER, TRANSACTION, references([*sent, never_sent]))
    _, kept, failed = reports.get(timeout=20)
    assert sorted(kept) == sorted(item.instance_uid for item in sent)
    assert failed == {never_sent.instance_uid: "no such object instance (0112)"}


def test_a_node_that_does_no_commitment_is_named(serve):
    with pytest.raises(Later, match="storescp: it does not do storage commitment"):
        ask(serve(StoreScp).node, CALLER, TRANSACTION, references(objects(1)))


def answering(status, *, reports=None):
    """A node that answers a request with a status, and reports over the same association.

    `reports` is when: in seconds after the request, or 0 before its own answer.
    """
    from pynetdicom import evt

    statuses = []

    def report_on(event):
        request = event.action_information
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = request.ReferencedSOPSequence
        answer, _ = event.assoc.send_n_event_report(report, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        statuses.append(answer.Status)

    def act(event):
        if reports:
            threading.Timer(reports, report_on, [event]).start()
        elif reports == 0:
            report_on(event)
        return status, None

    return scripted([(evt.EVT_N_ACTION, act)]), statuses


@pytest.mark.parametrize(("status", "said"), [(0x0110, "processing failure"), (0x0213, "0213")])
def test_a_refused_request_is_told(status, said):
    node, _ = answering(status)
    with node as refusing, pytest.raises(Later, match=said):
        ask(refusing, CALLER, TRANSACTION, references(objects(1)))


@pytest.mark.parametrize("after_s", [0, 0.3])
def test_a_report_over_the_same_association_is_taken(reports, after_s):
    node, statuses = answering(0, reports=after_s)
    sent = objects(2)
    with node as reporting:
        ask(
            reporting,
            CALLER,
            TRANSACTION,
            references(sent),
            on_result=lambda *report: reports.put(report),
            wait_s=10,
        )
    kept = [item.instance_uid for item in sent]
    assert reports.get_nowait() == (TRANSACTION, kept, {})
    assert statuses == [0]


def test_a_report_that_nobody_took_is_told_so_to_the_node():
    node, statuses = answering(0, reports=0)
    with node as reporting:
        ask(reporting, CALLER, TRANSACTION, references(objects(1)))
    assert statuses == [0x0110]


def report_to(port, title=CALLER.title, transaction=TRANSACTION, context=None):
    """Report to a listener as a node does; return the status, or None when it refuses."""
    from pynetdicom import AE
    from pynetdicom.presentation import build_role

    entity = AE("ARCHIVE")
    entity.add_requested_context(PUSH_MODEL)
    role = build_role(PUSH_MODEL, scp_role=True)
    encrypted = (context, HOST) if context else None
    association = entity.associate(HOST, port, ae_title=title, ext_neg=[role], tls_args=encrypted)
    if not association.is_established:
        return None
    report = Dataset()
    report.TransactionUID = transaction
    report.ReferencedSOPSequence = []
    answer, _ = association.send_n_event_report(report, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    association.release()
    return answer.Status


def test_a_node_reports_again_when_its_report_could_not_be_taken(caplog):
    def fail(*_):
        raise OSError("disk full")

    with (
        Listener(HOST, 0, CALLER.title, fail) as listening,
        caplog.at_level(logging.WARNING),
    ):
        assert report_to(listening.port) == 0x0110
    assert "not taken: OSError" in caplog.text


def test_a_report_without_a_transaction_is_not_taken(listener, reports):
    assert report_to(listener.port, transaction=None) == 0x0110
    assert reports.empty()


def test_the_listener_is_nobody_else(listener):
    assert report_to(listener.port, title="SOMEBODY") is None
    assert report_to(listener.port) == 0


def test_strangers_who_say_nothing_do_not_keep_an_archive_out(monkeypatch):
    monkeypatch.setattr(commitment, "SILENT_S", 2)
    with Listener(HOST, 0, CALLER.title, lambda *_: None) as listening:
        with ExitStack() as silent:
            for _ in range(12):
                silent.enter_context(socket.create_connection((HOST, listening.port)))
            until(lambda: len(listening._entity.active_associations) == 12)
            assert report_to(listening.port) == 0
        until(lambda: not listening._entity.active_associations)


def test_a_port_in_use_is_told(listener):
    with (
        pytest.raises(QsmError, match="choose another port"),
        Listener(HOST, listener.port, CALLER.title, print),
    ):
        pass


def test_the_port_is_free_once_the_listener_has_ended():
    with Listener(HOST, 0, CALLER.title, print) as first:
        port = first.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), 1)


def test_verification_is_no_commitment():
    with scripted(classes=[VERIFICATION]) as node, pytest.raises(Later, match="does not do"):
        ask(node, CALLER, TRANSACTION, [])


def test_strangers_who_begin_no_handshake_do_not_keep_an_archive_out(encrypted, authority):
    with ExitStack() as silent:
        for _ in range(12):
            silent.enter_context(socket.create_connection((HOST, encrypted.port)))
        context = context_of(Caller(ca_file=authority.file))
        assert report_to(encrypted.port, context=context) == 0


def test_a_stranger_who_ends_no_handshake_is_hung_up(encrypted, monkeypatch):
    monkeypatch.setattr(acceptor, "HANDSHAKE_S", 0.1)
    with socket.create_connection((HOST, encrypted.port), 10) as silent:
        assert silent.recv(1) == b""


@pytest.fixture
def encrypted(authority, reports):
    """A listener that shows a certificate, and asks for one of the authority's."""
    ours = authority.issue("listener")
    caller = replace(
        CALLER, ca_file=authority.file, certificate_file=ours.certificate, key_file=ours.key
    )

    def put(*report):
        reports.put(report)

    with Listener(HOST, 0, CALLER.title, put, listening_context_of(caller)) as listening:
        yield listening


def test_a_report_may_come_encrypted_with_and_without_a_certificate_of_the_nodes(
    encrypted, authority, reports
):
    theirs = authority.issue("theirs")
    known = Caller(ca_file=authority.file)
    shown = replace(known, certificate_file=theirs.certificate, key_file=theirs.key)
    for caller in (known, shown):
        assert report_to(encrypted.port, context=context_of(caller)) == 0
        assert reports.get(timeout=5)[0] == TRANSACTION


def test_a_report_in_the_clear_or_of_a_stranger_is_not_taken(
    encrypted, authority, reports, tmp_path
):
    theirs = Authority(tmp_path, "stranger").issue("theirs")
    stranger = Caller(
        ca_file=authority.file, certificate_file=theirs.certificate, key_file=theirs.key
    )
    with socket.create_connection((HOST, encrypted.port), 5) as clear:
        clear.sendall(bytes([1, 0, 0, 0, 0, 80]))  # as an association begins
        with suppress(ConnectionResetError):
            while clear.recv(100):
                pass
    with (
        socket.create_connection((HOST, encrypted.port), 5) as connected,
        pytest.raises(ssl.SSLError, match="UNKNOWN_CA"),
        context_of(stranger).wrap_socket(connected, server_hostname=HOST) as secure,
    ):
        secure.recv(1)
    assert reports.empty()
    assert report_to(encrypted.port, context=context_of(Caller(ca_file=authority.file))) == 0


def test_to_listen_encrypted_takes_a_certificate_of_ours(authority, tmp_path):
    with pytest.raises(UsageError, match="give certificate_file"):
        listening_context_of(Caller(ca_file=authority.file))
    with pytest.raises(UsageError, match=r"cannot use .*gone\.pem"):
        listening_context_of(Caller(certificate_file=tmp_path / "gone.pem"))
    with pytest.raises(UsageError, match="commitment_tls needs a certificate of ours"):
        Settings.from_properties({"store.commitment_tls": "true"})
