"""What a server keeps of scans that came to nothing, and what a full disk costs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from io import BytesIO

import pytest

from gadgetron_qsm.mrd.messages import Acquisition, Close, Error
from gadgetron_qsm.mrd.wire import read_message
from gadgetron_qsm.spool.recovery import replay_command
from tests.end_to_end.test_side_by_side import FAST, as_fast, with_a_scan
from tests.spool import victim
from tests.spool.conftest import WRITING, name
from tests.spool.passing import on_disk, raw_of, readouts_in, wait_for


@pytest.fixture(scope="module")
def fast(recorded):
    return as_fast(recorded("client_gadgetron"))


@pytest.fixture(scope="module")
def readouts(fast):
    """How many there are in the scan."""
    incoming = BytesIO(fast)
    messages = iter(lambda: read_message(incoming), Close())
    return sum(isinstance(message, Acquisition) for message in messages)


COMMAND = re.compile(r"gadgetron-qsm (replay \S+ --output) replayed")


def replayed(line, folder):
    """What the command in an error line makes, with the preset of the scan."""
    arguments = [*COMMAND.search(line)[1].split(), str(folder / "replayed"), "--config", "fast"]
    run = subprocess.run(
        [sys.executable, "-c", "from gadgetron_qsm.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return sorted(path.name for path in (folder / "replayed" / "dicom").iterdir())


def test_a_scan_that_a_setting_spoiled_is_kept_whole_and_the_line_replays_it(
    started, fast, tmp_path
):
    spoiled = fast.replace(b'value="fast"/></c', b'value="slow"/></c')
    with started(spool__folder=tmp_path / "spool").client() as peer:
        peer.send(spoiled)
        (line,) = peer.answer().refusals
    assert line.startswith("ERROR   setting 'preset' = 'slow'")
    assert len(replayed(line, tmp_path)) == 3


def test_what_a_killed_process_had_of_a_scan_is_named_to_the_client(
    started, fast, readouts, tmp_path
):
    server = started(spool__folder=tmp_path / "spool")
    with server.client() as peer:
        peer.send(fast[:-2])  # all of it, but for CLOSE
        peer.sent()
        (process,) = with_a_scan(server, 1)
        wait_for(lambda: on_disk(tmp_path / "spool") == [readouts])
        os.kill(process, signal.SIGKILL)
        (line,) = peer.answer().refusals
    assert "SIGKILL); its data are kept: gadgetron-qsm replay" in line
    assert len(replayed(line, tmp_path)) == 3


def test_a_gadgetron_is_told_how_to_replay_when_it_has_sent_all(started, recorded, tmp_path):
    server = started("gadget", spool__folder=tmp_path / "spool")
    with server.client() as gadgetron:
        gadgetron.send(recorded("server_acquisitions_r2").replace(b"standard", b"standerd"))
        (error,) = gadgetron.answer().messages
    assert isinstance(error, Error)
    assert error.text.startswith("setting 'preset' = 'standerd'")
    assert len(replayed(error.text, tmp_path)) == 3


@pytest.mark.parametrize("by", ["execute", "connect"])
def test_a_process_without_a_parent_of_ours_finds_what_the_one_before_left(
    gadget, started, recorded, tmp_path, by
):
    name(tmp_path, 1, WRITING).write_bytes(victim.cut_short(7, 300))
    config = FAST.replace("/></", f'/><property name="spool.folder" value="{tmp_path}"/></')
    process = gadget("qsm") if by == "execute" else started("gadget")
    with ExitStack() as stack:
        peer = process if by == "execute" else stack.enter_context(process.client())
        peer.send(as_fast(recorded("server_acquisitions_r2"), config=config))
        assert peer.answer().refusals == []
    assert f"its raw data are kept: {replay_command(name(tmp_path, 1))}" in process.log
    assert list(tmp_path.glob("*.h5")) == [name(tmp_path, 1)]


def test_a_stop_that_cannot_wait_for_a_scan_keeps_what_there_is_of_it(
    started, fast, readouts, tmp_path
):
    server = started(spool__folder=tmp_path / "spool", server__grace_s=0.5)
    with server.client() as peer:
        peer.send(fast[: len(fast) // 2])
        peer.sent()
        with_a_scan(server, 1)
        wait_for(lambda: any(on_disk(tmp_path / "spool")))
        server.process.terminate()
        (line,) = peer.answer().refusals
    assert line.startswith("ERROR   the server was stopped; the first of its data are kept: ")
    (kept,) = (tmp_path / "spool").iterdir()
    assert line.endswith(f"gadgetron-qsm replay {kept} --output replayed")
    assert 0 < len(readouts_in(kept)) < readouts
    assert server.process.wait(20) == 0


def test_two_clients_whose_processes_die_together_hear_of_their_own_scans(
    started, fast, readouts, tmp_path
):
    server = started(spool__folder=tmp_path / "spool", server__connections=2)
    parts = len(fast) // 2, len(fast) - 2
    with server.client() as first, server.client() as second:
        for peer, part in zip((first, second), parts, strict=True):
            peer.send(fast[:part])
            peer.sent()
        processes = with_a_scan(server, 2)
        wait_for(lambda: readouts in (found := on_disk(tmp_path / "spool")) and all(found))
        for process in processes:
            os.kill(process, signal.SIGKILL)
        lines = [peer.answer().refusals for peer in (first, second)]
    kept = [len(readouts_in(raw_of(line))) for (line,) in lines]
    assert 0 < kept[0] < kept[1] == readouts


def test_a_full_disk_costs_no_series_and_not_the_next_scan(small_disk, started, fast):
    server = started(
        spool__folder=small_disk / "spool",
        spool__limit_gb=0.005,
        deliver__dicom_folder=small_disk / "dicom",
        store__nodes="pacs=ARCHIVE@127.0.0.1:9",
        store__outbox=small_disk / "outbox",
    )
    with suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(8 << 20))
    for _ in range(2):
        with server.client() as peer:
            peer.send(fast)
            answer = peer.answer()
        assert [volume.name for volume in answer.maps] == ["chi", "r2star", *["magnitude"] * 3]
        for words in ("spooled no further: its disk has", "dcm: No space", "the outbox"):
            assert any(words in line for line in answer.warnings), words
        (error,) = answer.refusals
        assert "No space left on device; choose a folder" in error
    (small_disk / "ballast").unlink()
    with server.client() as peer:
        peer.send(fast)
        assert peer.answer().refusals == []
