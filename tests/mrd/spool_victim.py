"""Processes that spool a scan each, and are killed: one child after the other.

A child prints the number of readouts that are in its file after each block; its parent, what it was
killed after. Children are forked, since it takes a second to start Python anew.

Usage: python -m tests.mrd.spool_victim FOLDER KILLS [LONGEST_S]
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gadgetron_qsm.mrd import spool
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.mrd.spooled import SpooledScan
from gadgetron_qsm.site_sections import SpoolSettings

LONGEST_S = 0.08


def main(folder: Path, kills: int, longest_s: float = LONGEST_S) -> None:
    delays = random.Random(kills)
    for kill in range(kills):
        child = os.fork()
        if not child:
            spool_for_ever(folder, kill)
        time.sleep(delays.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def spool_for_ever(folder: Path, scan: int) -> None:
    spool.BLOCK_S = 0.0  # as many writes as can be
    write = SpooledScan.write

    def told(self: SpooledScan) -> None:
        write(self)
        os.write(1, f"{scan} {self.items}\n".encode())

    SpooledScan.write = told
    opened = spool.Spool.opened(SpoolSettings(folder=folder), f"<header>{scan}</header>")
    for _ in opened.tee(readouts(scan)):
        pass


def readouts(scan: int) -> Iterator[Acquisition]:
    """Without end; each is another, by its number."""
    for number in itertools.count():
        yield readout(scan, number)


def readout(scan: int, number: int) -> Acquisition:
    shape = 1 + number % 4, 1 + 37 * number % 500
    head = np.zeros((), ACQUISITION_HEADER)
    head["measurement_uid"], head["scan_counter"] = scan, number
    head["active_channels"], head["number_of_samples"] = shape
    return Acquisition(head[()], np.full(shape, number + 1j * scan, np.complex64))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
