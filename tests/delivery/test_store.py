"""Objects reach real servers, whole and once."""

from __future__ import annotations

import itertools
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    EnhancedMRImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    ParametricMapStorage,
)

from gadgetron_qsm.delivery.nodes import Caller, Later
from gadgetron_qsm.delivery.store import Answer, echo, store
from tests.delivery.objects import objects
from tests.delivery.queries import found
from tests.delivery.servers import Orthanc, StoreScp

MANY = 600
ONLY_MR = """[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[OnlyMR]
PresentationContext1 = MRImageStorage\\Plain
PresentationContext2 = VerificationSOPClass\\Plain
[[Profiles]]
[OnlyMR]
PresentationContexts = OnlyMR
"""


@pytest.fixture(params=["plain", "tls"])
def certificate(request, authority):
    return authority.issue("server") if request.param == "tls" else None


@pytest.fixture
def caller(authority):
    return Caller(ca_file=authority.file, timeout_s=20)


@pytest.fixture(scope="module")
def many():
    return objects(MANY)


def uids(sent):
    return sorted(item.instance_uid for item in sent)


def test_storescp_has_every_object_as_it_was_written(serve, certificate, caller, many):
    server = serve(StoreScp, "+B", certificate=certificate)
    assert list(store(server.node, caller, many)) == [Answer(item.key) for item in many]
    assert server.instances() == uids(many)
    arrived = {path.name.split(".", 1)[1]: path for path in server.received.iterdir()}
    for item in many[::10]:
        assert dcmread(arrived[item.instance_uid]) == item.dataset


def test_orthanc_finds_every_object_once(serve, certificate, caller, many):
    server = serve(Orthanc, certificate=certificate)
    assert all(answer.refused is None for answer in store(server.node, caller, many))
    assert found(server.node, caller) == uids(many)


@pytest.mark.parametrize(
    ("kind", "options", "settings"),
    [
        (StoreScp, ["+xi"], {}),
        (Orthanc, [], {"AcceptedTransferSyntaxes": [str(ImplicitVRLittleEndian)]}),
    ],
)
def test_a_node_of_implicit_vr_alone_gets_the_same_values(serve, caller, kind, options, settings):
    server = serve(kind, *options, **settings)
    sent = objects(3)
    assert [answer.refused for answer in store(server.node, caller, sent)] == [None] * 3
    if kind is StoreScp:
        for path in server.received.iterdir():
            arrived = dcmread(path)
            original = next(i for i in sent if i.instance_uid == arrived.SOPInstanceUID).dataset
            assert arrived.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
            assert arrived == original
    else:
        assert server.count() == 3


def test_an_object_in_implicit_vr_goes_to_a_node_that_takes_both_as_it_is(serve, caller):
    server = serve(StoreScp, "+B")
    sent = objects(1, syntax=ImplicitVRLittleEndian)
    assert list(store(server.node, caller, sent)) == [Answer(sent[0].key)]
    (path,) = server.received.iterdir()
    assert dcmread(path).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_what_a_node_does_not_take_is_refused_and_the_rest_arrives(serve, caller, tmp_path):
    (tmp_path / "only_mr.cfg").write_text(ONLY_MR)
    server = serve(StoreScp, "-xf", str(tmp_path / "only_mr.cfg"), "OnlyMR")
    images = objects(4)
    maps = objects(2, class_uid=ParametricMapStorage)
    enhanced = objects(1, class_uid=EnhancedMRImageStorage)
    sent = [images[0], *maps, *images[1:3], *enhanced, images[3]]
    answers = list(store(server.node, caller, sent))
    assert [answer.key for answer in answers] == [item.key for item in sent]
    refused = {answer.key for answer in answers if answer.refused}
    assert refused == {item.key for item in [*maps, *enhanced]}
    assert "Parametric Map" in answers[1].refused
    assert server.instances() == uids(images)
    assert not any(item.reads for item in maps)


def test_what_no_context_was_offered_for_is_refused(serve, caller):
    server = serve(StoreScp)
    unknown, compressed, fine = objects(3)
    unknown.class_uid = "1.2.840.10008.5.1.4.1.1.2"
    compressed.transfer_syntax = JPEG2000Lossless
    answers = list(store(server.node, caller, [unknown, compressed, fine]))
    assert "CT Image" in answers[0].refused
    assert "JPEG 2000" in answers[1].refused
    assert answers[2].refused is None


def test_a_file_that_is_no_dicom_is_refused(serve, caller):
    server = serve(StoreScp)
    broken, fine = objects(2)
    broken.file = b"x" * 400
    answers = list(store(server.node, caller, [broken, fine]))
    assert "not a DICOM file" in answers[0].refused
    assert answers[1].refused is None


@pytest.mark.parametrize("kind", [StoreScp, Orthanc])
def test_a_server_killed_in_the_middle_has_all_that_it_answered_and_gets_the_rest_later(
    serve, caller, kind
):
    server = serve(kind)
    sent = objects(60)
    answers = store(server.node, caller, sent)
    assert [next(answers) for _ in range(25)] == [Answer(item.key) for item in sent[:25]]
    server.kill()
    with pytest.raises(Later, match=server.node.name):
        next(answers)
    server.start()
    held = server.instances() if kind is StoreScp else found(server.node, caller)
    assert set(uids(sent[:25])) <= set(held)
    assert len(list(store(server.node, caller, sent[25:]))) == 35
    held = server.instances() if kind is StoreScp else found(server.node, caller)
    assert held == uids(sent)


def test_objects_are_read_when_their_turn_comes(serve, caller):
    server = serve(StoreScp)
    sent = objects(5)
    for count, _ in enumerate(store(server.node, caller, sent), start=1):
        assert [item.reads for item in sent] == [1] * count + [0] * (5 - count)


def test_an_association_ends_in_order_when_nobody_wants_the_next_answer(serve, caller):
    server = serve(StoreScp, "-v")
    answers = store(server.node, caller, objects(5))
    assert len(list(itertools.islice(answers, 2))) == 2
    answers.close()
    echo(server.node, caller)  # storescp serves one association after the other
    assert server.log().count("Association Release") == 2
    assert len(server.instances()) == 2


def test_a_node_that_does_not_read_holds_us_no_longer_than_the_timeout(serve):
    server = serve(StoreScp)
    sent = objects(3, side=2048)  # 8 MB: more than sockets hold
    answers = store(server.node, Caller(timeout_s=0.5), sent)
    next(answers)
    server.freeze()
    start = time.monotonic()
    with pytest.raises(Later, match=r"silent for 0\.5 s"):
        next(answers)
    assert time.monotonic() - start < 0.9  # not once more for a goodbye


def test_a_full_disk_is_said_and_waited_for(serve, caller):
    server = serve(StoreScp)
    sent = objects(3)
    answers = store(server.node, caller, sent)
    next(answers)
    server.received.rename(server.folder / "gone")
    with pytest.raises(Later, match="out of resources"):
        next(answers)
    (server.folder / "gone").rename(server.received)
    assert len(list(store(server.node, caller, sent[1:]))) == 2
    assert server.instances() == uids(sent)


def test_a_full_archive_is_said(serve, caller):
    server = serve(Orthanc, MaximumStorageSize=1)
    with pytest.raises(Later, match="out of resources"):
        list(store(server.node, caller, objects(1, side=1024)))
    assert server.count() == 0


@pytest.mark.parametrize("kind", [StoreScp, Orthanc])
def test_servers_answer_an_echo(serve, caller, certificate, kind):
    echo(serve(kind, certificate=certificate).node, caller)


def test_a_float_map_passes_bit_by_bit_in_either_syntax(serve, caller):
    server = serve(StoreScp, "+xi", "+B")
    (sent,) = objects(1, class_uid=ParametricMapStorage)
    dataset = sent.dataset
    del dataset.PixelData
    dataset.FloatPixelData = bytes(range(256))
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    sent.file = buffer.getvalue()
    assert list(store(server.node, caller, [sent])) == [Answer(sent.key)]
    (path,) = server.received.iterdir()
    assert dcmread(path).FloatPixelData == bytes(range(256))
    assert dcmread(path).file_meta.MediaStorageSOPClassUID != MRImageStorage


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an option of Linux' sockets")
def test_no_answer_of_dcmtk_waits_for_an_acknowledgement_that_is_put_off(serve, caller):
    times = []
    for _ in store(serve(StoreScp).node, caller, objects(60, side=256)):
        times += [time.perf_counter()]
    assert np.median(np.diff(times)) < 0.03  # 40 ms if it does
