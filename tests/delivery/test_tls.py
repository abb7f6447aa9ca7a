"""Encryption: who is trusted, and which line tells that somebody is not."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest

from gadgetron_qsm.delivery.nodes import Caller, Later
from gadgetron_qsm.delivery.store import Answer, echo, store
from gadgetron_qsm.delivery.tls import context_of
from gadgetron_qsm.errors import UsageError
from tests.delivery.certificates import DAY, Authority
from tests.delivery.objects import objects
from tests.delivery.peers import peer
from tests.delivery.servers import Orthanc, StoreScp


@pytest.fixture(params=[StoreScp, Orthanc])
def kind(request):
    return request.param


@pytest.fixture
def caller(authority):
    return Caller(ca_file=authority.file, timeout_s=10)


def line(node, caller):
    with pytest.raises(Later) as later:
        echo(node, caller)
    assert "\n" not in str(later.value)
    return str(later.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"until": -DAY}, "its certificate has expired; renew it there"),
        ({"host": "pacs.example"}, "its certificate is for another host"),
        ({"since": DAY}, "its certificate is not valid yet"),
    ],
)
def test_a_faulty_certificate_is_not_trusted_and_its_fault_told(
    serve, authority, caller, kind, fault, said
):
    assert said in line(serve(kind, certificate=authority.issue("faulty", **fault)).node, caller)


def test_an_unknown_authority_is_not_trusted(serve, authority, caller, kind, tmp_path):
    server = serve(kind, certificate=authority.issue("server"))
    stranger = Authority(tmp_path, "stranger")
    assert "unknown authority" in line(server.node, replace(caller, ca_file=stranger.file))
    assert "unknown authority" in line(server.node, replace(caller, ca_file=None))


def test_a_node_may_demand_a_certificate_of_ours(serve, authority, caller, kind):
    server = serve(kind, certificate=authority.issue("server"), clients=authority.file)
    ours, old = authority.issue("ours"), authority.issue("old", until=-DAY)
    assert "demands a certificate of ours" in line(server.node, caller)
    expired = replace(caller, certificate_file=old.certificate, key_file=old.key)
    assert "our certificate has expired" in line(server.node, expired)
    caller = replace(caller, certificate_file=ours.certificate, key_file=ours.key)
    (sent,) = objects(1)
    assert list(store(server.node, caller, [sent])) == [Answer(sent.key)]


def test_a_node_that_does_not_trust_our_certificate_says_so(
    serve, authority, caller, kind, tmp_path
):
    server = serve(kind, certificate=authority.issue("server"), clients=authority.file)
    theirs = Authority(tmp_path, "stranger").issue("theirs")
    caller = replace(caller, certificate_file=theirs.certificate, key_file=theirs.key)
    assert "does not trust our certificate" in line(server.node, caller)


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # pynetdicom's
def test_a_node_that_speaks_no_tls(serve, caller, kind):
    node = replace(serve(kind).node, tls=True)
    assert "does not answer in TLS" in line(node, replace(caller, timeout_s=1))


def test_a_node_that_hangs_up_without_a_reason_is_not_blamed_for_another(authority, caller):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    files = authority.issue("server")
    server.load_cert_chain(files.certificate, files.key)

    def behave(connection):
        with server.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1 << 16)

    with peer(behave) as node:
        said = line(replace(node, tls=True), replace(caller, timeout_s=1))
    assert "see its log" in said
    assert "silent" not in said


def test_a_node_that_speaks_nothing_but_tls(serve, authority, caller, kind):
    node = replace(serve(kind, certificate=authority.issue("server")).node, tls=False)
    assert "TLS" in line(node, caller)


def test_nothing_older_than_tls_1_2_is_spoken(caller):
    assert context_of(caller).minimum_version.name == "TLSv1_2"
    assert context_of(caller).check_hostname


@pytest.mark.parametrize("wrong", ["absent", "text", "key"])
def test_a_file_that_holds_no_certificate_is_told(authority, tmp_path, wrong):
    issued = authority.issue("ours")
    (tmp_path / "text.pem").write_text("nothing\n")
    path = {"absent": tmp_path / "no.pem", "text": tmp_path / "text.pem", "key": issued.key}[wrong]
    with pytest.raises(UsageError, match=str(path)):
        context_of(Caller(ca_file=path))
    with pytest.raises(UsageError, match=str(path)):
        context_of(Caller(certificate_file=path, key_file=issued.key))


def test_a_key_of_another_certificate_is_told(authority):
    ours, other = authority.issue("ours"), authority.issue("other")
    with pytest.raises(UsageError, match="give certificates and keys as PEM"):
        context_of(Caller(certificate_file=ours.certificate, key_file=other.key))
    with pytest.raises(UsageError, match="give both"):
        context_of(Caller(key_file=ours.key))


def test_files_that_vanish_later_are_waited_for(serve, authority, caller, tmp_path):
    server = serve(StoreScp, certificate=authority.issue("server"))
    assert "cannot use" in line(server.node, replace(caller, ca_file=tmp_path / "gone.pem"))
