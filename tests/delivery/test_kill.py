"""Our process is killed at any moment: nothing is missing afterwards, and nothing is corrupt."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gadgetron_qsm.delivery import letters
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from tests.delivery.series import check, uids
from tests.delivery.servers import StoreScp
from tests.delivery.victim import SERIES, SLICES

KILLS = 20


@pytest.fixture
def storescp(tmp_path):
    with StoreScp(tmp_path, "+uf") as server:  # a file for each time that an object comes
        yield server


def killed(folder: Path, node: str) -> set[int]:
    """Let processes put and send, and be killed; return the series that were put, by their word."""
    command = [sys.executable, "-m", "tests.delivery.victim", str(folder), node, str(KILLS)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    return {int(line) for line in done.stdout.split()}


def test_a_process_killed_20_times_loses_nothing_and_damages_nothing(tmp_path, storescp):
    folder = tmp_path / "outbox"
    put = killed(folder, str(storescp.node))
    assert KILLS < len(put) < KILLS * SERIES  # or the kills were too late or too early to tell
    assert Sender(folder).flush(20) == []
    files = [path.read_bytes() for path in storescp.received.iterdir()]
    arrived = Counter(check(data) for data in files)
    expected = {uid for series in put for uid in uids(series, SLICES)}
    assert expected <= set(arrived)
    whole = {uid.rsplit(".", 1)[0] for uid in set(arrived) - expected}  # killed before it could say
    assert len(arrived) == len(expected) + len(whole) * SLICES
    assert sum(arrived.values()) - len(arrived) <= KILLS  # at most the one in flight
    with Outbox(folder) as outbox:
        assert letters.lines(outbox) == []
        assert outbox.rows("PRAGMA integrity_check") == [("ok",)]
        assert outbox.rows("SELECT count(*) FROM object") == [(0,)]
