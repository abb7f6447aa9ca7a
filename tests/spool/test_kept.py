"""What came of a scan that failed is kept to its end, and the error says how to replay it."""

from __future__ import annotations

import logging
import re
import shlex
import threading
from pathlib import Path

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import Close
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.kept import spooled


@pytest.fixture
def settings(tmp_path):
    return SpoolSettings(folder=tmp_path / "spool")


def raw_of(line):
    """The file in the command of a line."""
    command = re.search(r"data are kept: (gadgetron-qsm replay .*)$", line)[1]
    return Path(shlex.split(command)[2])


def fail_at_once(connection, settings, error, before=lambda: None):
    with spooled(connection, settings) as incoming:
        next(iter(incoming))
        before()
        raise error


def end_from_outside(connection, settings):
    with spooled(connection, settings) as incoming:
        next(iter(incoming))
        connection.end("too long")
        list(incoming)


def test_the_rest_of_a_scan_that_fails_at_once_is_kept_before_the_error_is_raised(
    connected, settings, send, make_acquisition, caplog
):
    connection, peer = connected
    readouts = [make_acquisition() for _ in range(5)]
    send(peer, *readouts[:2])
    rest = threading.Timer(0.3, send, [peer, *readouts[2:], Close()])
    rest.start()
    with pytest.raises(QsmError, match=r"^no echoes; its data are kept: gadgetron-qsm") as failed:
        fail_at_once(connection, settings, QsmError("no echoes"))
    rest.join()
    with RawFile(raw_of(str(failed.value))) as raw:
        assert len(raw) == 5
    assert "there will be no result, the scan is only kept: no echoes" in caplog.text


@pytest.mark.parametrize("ended", ["by_us", "by_a_fault", "by_nonsense"])
def test_what_came_before_a_scan_was_ended_is_the_first_of_its_data(
    connected, settings, send, make_acquisition, monkeypatch, ended
):
    connection, peer = connected
    send(peer, make_acquisition())

    def peek():
        raise RuntimeError("of the reader")

    def end():
        if ended == "by_us":
            connection.end("the server was stopped")
        elif ended == "by_a_fault":
            monkeypatch.setattr(connection, "peek", peek)
        else:
            peer.sendall(b"nonsense")

    with pytest.raises(QsmError, match=r"^why; the first of its data are kept: ") as failed:
        fail_at_once(connection, settings, QsmError("why"), end)
    assert raw_of(str(failed.value)).is_file()
    assert not [thread for thread in threading.enumerate() if thread.name == "spool"]


def test_nobody_waits_for_the_rest_of_a_scan_that_is_not_kept(
    connected, tmp_path, send, make_acquisition, caplog
):
    connection, peer = connected
    (tmp_path / "file").write_text("in the way")
    settings = SpoolSettings(folder=tmp_path / "file" / "spool")

    def until_it_is_given_up():
        while "spooled no further" not in caplog.text:
            threading.Event().wait(0.01)

    send(peer, make_acquisition())
    late = threading.Timer(5, send, [peer, Close()])
    late.start()
    with pytest.raises(QsmError, match=r"^why$"):
        fail_at_once(connection, settings, QsmError("why"), until_it_is_given_up)
    assert not connection.received
    late.cancel()
    assert "only kept" not in caplog.text


def test_of_a_scan_that_was_ended_the_first_part_is_said_to_be_kept(
    connected, settings, send, make_acquisition, caplog
):
    connection, peer = connected
    send(peer, make_acquisition())
    with pytest.raises(QsmError, match="too long; the first of its data are kept"):
        end_from_outside(connection, settings)
    assert "only kept" not in caplog.text
    send(peer, Close())


def test_a_peer_that_has_gone_is_still_gone_and_what_it_sent_is_kept(
    connected, settings, send, make_acquisition
):
    connection, peer = connected
    send(peer, make_acquisition())
    peer.close()
    with (
        pytest.raises(PeerGone, match="its data are kept") as gone,
        spooled(connection, settings) as incoming,
    ):
        list(incoming)
    assert raw_of(str(gone.value)).is_file()


def test_a_fault_stays_what_it_is_and_the_command_is_logged(
    connected, settings, send, make_acquisition, caplog
):
    connection, peer = connected
    send(peer, make_acquisition(), Close())
    with pytest.raises(RuntimeError, match=r"^a fault$"):
        fail_at_once(connection, settings, RuntimeError("a fault"))
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert raw_of(record.getMessage()).is_file()


def test_a_scan_that_succeeds_leaves_nothing(connected, settings, send, make_acquisition):
    connection, peer = connected
    send(peer, make_acquisition(), Close())
    with spooled(connection, settings) as incoming:
        assert len(list(incoming)) == 1
    assert list(settings.folder.iterdir()) == []


def test_without_a_folder_nothing_is_between(connected):
    connection, _ = connected
    with spooled(connection, SpoolSettings()) as incoming:
        assert incoming is connection
    with pytest.raises(QsmError, match=r"^why$"), spooled(connection, SpoolSettings()):
        raise QsmError("why")
