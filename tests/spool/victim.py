"""Processes that spool a scan each, and are killed: one child after the other.

A child prints the number of its scan, and how many readouts are in its file after each block. It is
forked, since it takes a second to start Python anew, and killed by its own parent.

Usage: python -m tests.spool.victim FOLDER KILLS
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import spool
from gadgetron_qsm.spool.scan import SpooledScan

LONGEST_S = 0.05


def main(folder: Path, kills: int) -> None:
    """Kill half of the children at any moment, and half when they have written something."""
    delays = random.Random(kills)
    for scan in range(kills):
        came, said = os.pipe()
        child = os.fork()
        if not child:
            spool_some(folder, scan, said=said)
        os.close(said)
        if scan % 2:
            os.read(came, 1)
        time.sleep(delays.uniform(0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(came)


def spool_some(folder: Path, scan: int, most: int | None = None, said: int | None = None) -> None:
    """Spool readouts, without end if `most` is None, and wait to be killed."""
    write = SpooledScan.write

    def told(self: SpooledScan) -> None:
        write(self)
        os.write(1, f"{scan} {self.items}\n".encode())
        if said is not None and self.items:
            os.write(said, b"!")

    SpooledScan.write, spool.BLOCK_S = told, 0.0  # as many writes as can be
    opened = spool.Spool.opened(SpoolSettings(folder=folder), f"<scan>{scan}</scan>")
    for _ in opened.tee(itertools.islice(readouts(scan), most)):
        pass
    threading.Event().wait()


def readouts(scan: int) -> Iterator[Acquisition]:
    for number in itertools.count():
        yield readout(scan, number)


def readout(scan: int, number: int) -> Acquisition:
    """Another one each."""
    shape = 1 + number % 4, 1 + 37 * number % 500
    head = np.zeros((), ACQUISITION_HEADER)
    head["measurement_uid"], head["scan_counter"] = scan, number
    head["active_channels"], head["number_of_samples"] = shape
    return Acquisition(head[()], np.full(shape, number + 1j * scan, np.complex64))


def kill(folder: Path, kills: int) -> dict[int, int]:
    """Have children killed; return how many readouts each had said to be on disk."""
    command = [sys.executable, "-m", "tests.spool.victim", str(folder), str(kills)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    said = (map(int, line.split()) for line in done.stdout.splitlines())
    return {scan: items for scan, items in said if items}


def items_in(path: Path) -> tuple[int, int]:
    """Return the scan and the number of readouts in a file, all of which must be right."""
    with RawFile(path) as raw:
        scan = int(raw.header_text.removeprefix("<scan>").removesuffix("</scan>"))
        read = itertools.chain.from_iterable(raw.blocks())
        for number, one in enumerate(read):
            sent = readout(scan, number)
            assert one.head.tobytes() == sent.head.tobytes()
            np.testing.assert_array_equal(one.data, sent.data)
        return scan, len(raw)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
