"""Processes that are killed or stopped at any moment of a scan: told, and all is left well.

The moments are random numbers of a seed; where in the scan they fall differs from run to run.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.recovery import recover
from tests.end_to_end.peers import Server
from tests.faults import small_scan
from tests.faults.census import eventually, family
from tests.faults.judge import judge
from tests.faults.served import told

SCAN = b"".join(small_scan.stream())
KILLS = 6  # of a worker of each command
LATEST_S = 0.3  # the scan takes about half of that
NEW_WORKER_S = 60  # for a scan when both workers were killed, on a busy machine
END_S = 20  # a worker has 10 s to end when its parent has gone


def told_meanwhile(port, stream, moment_s, act, *arguments):
    """Send a stream and do something meanwhile; return what `told` does."""
    timer = Timer(moment_s, act, arguments)
    timer.start()
    try:
        return told(port, stream, waits=stream != SCAN, within_s=NEW_WORKER_S)
    finally:
        timer.join()


def test_a_worker_that_is_killed_at_any_moment_costs_one_scan_that_is_told(served):
    rng, seen = Random(served.command), []

    def kill():
        os.kill(rng.choice(served.with_a_scan() or served.workers()), signal.SIGKILL)

    for _ in range(KILLS):
        assert eventually(lambda: len(served.workers()) == 2, NEW_WORKER_S)
        moment_s = rng.uniform(0, LATEST_S)
        answer, problems = told_meanwhile(served.port, SCAN, moment_s, kill)
        verdict = judge(SCAN, answer, served.log_since())
        assert problems + verdict.problems == [], (verdict.ending, moment_s)
        seen.append(verdict.ending)
    assert any("error line" in ending for ending in seen), seen
    served.all_serve()
    assert served.settles(), (served.census(), served.at_rest)
    assert served.serves()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("command", "part"), [("serve", 0.5), ("gadget", 1)])
def test_a_server_that_ends_at_any_moment_leaves_no_process_and_whole_files(
    command, part, stop, tmp_path
):
    stream = SCAN[: int(part * len(SCAN))]
    spool = SpoolSettings(folder=tmp_path / "spool")
    site = {"spool.folder": str(spool.folder), "server.silence_s": "2"}
    config = tmp_path / "site.xml"
    config.write_bytes(small_scan.config_text(site)[6:])
    server = Server(command, tmp_path, "--config", str(config))
    processes = list(family(server.process.pid))
    moment_s = Random(f"{command} {stop}").uniform(0, LATEST_S)
    try:
        answer, _ = told_meanwhile(server.port, stream, moment_s, server.process.send_signal, stop)
        status = server.process.wait(END_S)
    finally:
        server.end()
    assert status == (0 if stop == signal.SIGTERM else -stop)
    assert eventually(lambda: not any(map(runs, processes)), END_S)
    verdict = judge(stream, answer, server.log)
    assert verdict.problems == [] or answer == b"", verdict
    recover(spool)
    kept = list(spool.folder.glob("*.h5"))
    assert (b"data are kept: " in answer) <= len(kept) <= 1
    for path in kept:
        with RawFile(path) as raw:
            assert sum(map(len, raw.blocks())) == len(raw) <= len(small_scan.readouts())


def runs(pid):
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
