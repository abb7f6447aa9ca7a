"""A process of its own that replays raw files one after another and prints the maps' hashes.

Run as python -m tests.end_to_end.replaying FOLDER LABELS RAW ... with PACE=1 in the environment for
a sender that stops and starts.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from io import BytesIO
from pathlib import Path

from gadgetron_qsm.cohort.finished import settings_hash
from gadgetron_qsm.cohort.task import Task, perform
from gadgetron_qsm.mrd import client

SETTINGS = {
    "preset": "fast",
    "inversion.iterations": "2",
    "deliver.maps": "chi,r2star,swi,magnitude,noise",
    "deliver.form": "enhanced",  # files that are written soonest
}
PIECES = (1, 300, 7000, 60_000, 500_000)  # bytes
PAUSE_S = 0.005


def main() -> None:
    """Print {name of the raw file: {map, or file of the measurement: SHA-256}} as JSON."""
    folder, labels, *raws = map(Path, sys.argv[1:])
    if os.environ.get("PACE"):
        client._Sender._flush = _flush_in_pieces
    print(json.dumps({raw.stem: hashes(raw, folder / raw.stem, labels) for raw in raws}))


def hashes(raw: Path, folder: Path, labels: Path) -> dict[str, str]:
    """Replay a file; what is measured in it belongs to its results."""
    settings = {**SETTINGS, "measure.labels": str(labels)}
    task = Task(raw.stem, raw, folder, settings_hash("qsm", settings), overrides=settings)
    found = dict(perform(task).maps)
    for table in (folder / "measurement").glob("*.csv"):
        found[table.name] = hashlib.sha256(table.read_bytes()).hexdigest()
    return found


def _flush_in_pieces(self: client._Sender, buffer: BytesIO) -> BytesIO:
    rng, left = random.Random(buffer.tell()), buffer.getbuffer()
    while len(left):
        size = rng.choice(PIECES)
        self._socket.sendall(left[:size])
        left = left[size:]
        time.sleep(PAUSE_S * rng.random())
    return BytesIO()


if __name__ == "__main__":
    main()
