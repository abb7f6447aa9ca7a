"""From the outbox to real servers: everything, once, through whatever happens to them."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gadgetron_qsm.delivery import letters, queue
from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.outgoing_sections import StoreSettings
from tests.delivery.clock import until
from tests.delivery.peers import scripted
from tests.delivery.series import check, slices, uids
from tests.delivery.servers import Orthanc, StoreScp, free_port

ROOT = Path(__file__).parents[2]
SLICES = 300  # 600 arrive in test_store
CALLER = Caller(timeout_s=5)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def sender(folder) -> Iterator[Sender]:
    started = Sender(folder)
    started.start()
    yield started
    assert started.stop(10)


def left(folder: Path) -> list[letters.Line]:
    with Outbox(folder) as outbox:
        return letters.lines(outbox)


def tried(folder: Path) -> int:
    with Outbox(folder) as outbox:
        return int(outbox.rows("SELECT max(failures) FROM node")[0][0])


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_storescp_killed_in_the_middle_gets_all_objects(serve, authority, folder, sender, tls):
    certificate = authority.issue("outbox-storescp") if tls else None
    storescp = serve(StoreScp, certificate=certificate)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, SLICES, side=64), [storescp.node], trusting(authority))
    sender.notify()
    until(lambda: len(storescp.instances()) > SLICES // 3)
    storescp.kill()
    assert left(folder)
    storescp.start()
    hurry(folder, sender)
    until(lambda: not left(folder), 20)
    files = [path.read_bytes() for path in storescp.received.iterdir()]
    assert sorted(check(data) for data in files) == sorted(uids(7, SLICES))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_orthanc_killed_in_the_middle_has_each_object_once(
    serve, authority, folder, sender, tls
):
    certificate = authority.issue("outbox-orthanc") if tls else None
    orthanc = serve(Orthanc, certificate=certificate)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, SLICES), [orthanc.node], trusting(authority))
    sender.notify()
    until(lambda: orthanc.count() > SLICES // 3, 20)
    orthanc.kill()
    assert left(folder)
    orthanc.start()
    hurry(folder, sender)
    until(lambda: not left(folder), 30)
    assert orthanc.count() == SLICES
    stored = [orthanc.get(f"instances/{key}")["MainDicomTags"] for key in orthanc.get("instances")]
    assert sorted(tags["SOPInstanceUID"] for tags in stored) == sorted(uids(7, SLICES))


PUT_AND_SEND = """
import sys
from pathlib import Path
from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.outgoing_sections import StoreSettings
from tests.delivery.series import slices
folder, node, *series = sys.argv[1:]
delivery = opened(StoreSettings(nodes=(node,), outbox=Path(folder)))
for number in map(int, series):
    delivery.put(slices(number, 20))
sys.exit(len(delivery.flush(20)))
"""


def test_two_processes_that_put_and_send_deliver_each_object_once(serve, folder):
    storescp = serve(StoreScp, "+uf")  # a file for each time that an object comes
    series = [str(number) for number in range(1, 11)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PUT_AND_SEND, str(folder), str(storescp.node), *some],
            cwd=ROOT,
        )
        for some in (series[::2], series[1::2])
    ]
    assert [process.wait(30) for process in processes] == [0, 0]
    arrived = [check(path.read_bytes()) for path in storescp.received.iterdir()]
    assert sorted(arrived) == sorted(uid for number in series for uid in uids(int(number), 20))


@pytest.fixture
def promising(serve):
    """An Orthanc that promises to keep what it has, and the terms that ask it to."""
    port = free_port()
    terms = Terms(CALLER, commitment=True, commitment_port=port)
    return serve(Orthanc, reports_to=port), terms


def test_orthanc_promises_to_keep_what_it_was_sent(promising, folder):
    orthanc, terms = promising
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 20), [orthanc.node], terms)
        assert Sender(folder).flush(20) == []
        assert outbox.rows("SELECT count(*) FROM confirmed") == [(20,)]


def test_orthanc_promises_over_tls(serve, authority, folder):
    port, ours = free_port(), authority.issue("ours")
    us = {"AET": CALLER.title, "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}
    orthanc = serve(
        Orthanc,
        certificate=authority.issue("archive"),
        clients=authority.file,
        DicomModalities={"us": us},
    )
    caller = replace(
        CALLER, ca_file=authority.file, certificate_file=ours.certificate, key_file=ours.key
    )
    terms = Terms(caller, commitment=True, commitment_port=port, commitment_tls=True)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 3), [orthanc.node], terms)
        assert Sender(folder).flush(20) == []
        assert outbox.rows("SELECT count(*) FROM confirmed") == [(3,)]


def test_an_object_that_the_archive_lost_before_it_promised_is_sent_again(promising, folder):
    orthanc, terms = promising
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 3), [orthanc.node], terms)
        for entry in queue.waiting(outbox, orthanc.node.name)[:1]:  # as if it had been stored
            queue.stored(outbox, queue.Recipient(orthanc.node, terms), entry.key)
        (line,) = Sender(folder).flush(20)
        assert (line.state, line.objects) == ("waiting", 1)
        assert "no such object instance" in line.error
        assert orthanc.count() == 2
        assert Sender(folder).flush(20) == []
    assert orthanc.count() == 3


def nobody(_serve: Any, _authority: Any) -> tuple[Node, Caller]:
    return Node("archive", "PACS", "127.0.0.1", free_port()), CALLER


def wrong_title(serve: Any, _authority: Any) -> tuple[Node, Caller]:
    return Node("archive", "WRONG", "127.0.0.1", serve(Orthanc).port), CALLER


def refusing(serve: Any, _authority: Any) -> tuple[Node, Caller]:
    return serve(StoreScp, "--refuse").node, CALLER


def expired(serve: Any, authority: Any) -> tuple[Node, Caller]:
    certificate = authority.issue("outbox-expired", until=datetime.timedelta(days=-1))
    return serve(StoreScp, certificate=certificate).node, trusting(authority).caller


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (nobody, "nobody listens"),
        (wrong_title, "title"),
        (refusing, "refuse|reject"),
        (expired, "certificate has expired"),
    ],
)
def test_trouble_is_one_clear_line_and_everything_waits(
    serve: Any,
    authority: Any,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[..., tuple[Node, Caller]],
    said: str,
) -> None:
    node, caller = trouble(serve, authority)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 3), [node], Terms(caller))
    (line,) = Sender(folder).flush(20)
    assert (line.state, line.objects) == ("waiting", 3)
    (record,) = caplog.records
    assert record.message.startswith(f"3 objects wait for node '{node.name}': {line.error}; next ")
    assert "\n" not in record.message
    assert re.search(said, line.error)


def test_the_settings_lead_from_data_sets_to_an_archive(serve, tmp_path):
    storescp = serve(StoreScp)
    settings = StoreSettings(nodes=(str(storescp.node),), outbox=tmp_path / "outbox")
    delivery = opened(settings)
    assert delivery is not None
    assert delivery.put(slices(7, 3)) == 3
    until(lambda: storescp.instances() == uids(7, 3))
    assert delivery.flush(10) == []
    assert delivery.put(slices(7, 3)) == 0
    delivery.stop(10)


ENDING = """
import sys, time
from pathlib import Path
from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.outgoing_sections import StoreSettings
from tests.delivery.series import slices
opened(StoreSettings(nodes=(sys.argv[1],), outbox=Path(sys.argv[2]))).put(slices(7, 300))
sys.stdin.readline()
"""


def test_a_process_ends_when_the_object_in_flight_is_answered_for(folder):
    from pynetdicom import evt

    arrived = threading.Event()

    def take(_):
        arrived.set()
        time.sleep(0.1)
        return 0

    with scripted([(evt.EVT_C_STORE, take)]) as node:
        command = [sys.executable, "-c", ENDING, str(node), str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
            assert arrived.wait(20)
            process.communicate(b"\n", timeout=15)  # all of it would take 30 s
    assert process.returncode == 0
    (line,) = left(folder)
    assert (line.state, line.error) == ("waiting", "")


def test_without_nodes_nothing_is_opened(tmp_path):
    assert opened(StoreSettings(outbox=tmp_path / "outbox")) is None
    assert not (tmp_path / "outbox").exists()


def test_no_room_for_an_outbox_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    settings = StoreSettings(nodes=("PACS@127.0.0.1:104",), outbox=tmp_path / "file" / "outbox")
    with pytest.raises(QsmError, match="cannot be used"):
        opened(settings)


def trusting(authority: Any) -> Terms:
    return Terms(Caller(ca_file=authority.file, timeout_s=5))


def hurry(folder: Path, sender: Sender) -> None:
    """Wait until the sender has noticed that a server is gone; then end its pause."""
    end = time.monotonic() + 10
    while not tried(folder) and left(folder):
        assert time.monotonic() < end
        time.sleep(0.02)
    with Outbox(folder) as outbox:
        letters.hurry(outbox)
    sender.notify()
