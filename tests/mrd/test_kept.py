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
from gadgetron_qsm.mrd.kept import left_by_the_dead, spooled
from gadgetron_qsm.mrd.messages import Close
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.site_sections import SpoolSettings


@pytest.fixture
def settings(tmp_path):
    return SpoolSettings(folder=tmp_path / "spool")


def raw_of(line):
    """The file in the command of a line."""
    command = re.search(r"data are kept: (gadgetron-qsm replay .*)$", line)[1]
    return Path(shlex.split(command)[2])


def fail_at_once(connection, settings, error):
    with spooled(connection, settings) as incoming:
        next(iter(incoming))
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
    assert left_by_the_dead(settings) == ""


def test_without_a_folder_nothing_is_between(connected):
    connection, _ = connected
    with spooled(connection, SpoolSettings()) as incoming:
        assert incoming is connection
    with pytest.raises(QsmError, match=r"^why$"), spooled(connection, SpoolSettings()):
        raise QsmError("why")
