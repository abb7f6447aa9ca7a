"""How fast raw data get to the disk, beside a plain write of the same bytes to the same disk.

Usage: python -m tests.benchmarks.spool [FOLDER]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.mrd.messages import Acquisition
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import spool
from tests.benchmarks.ingest import readout

SHAPES = (32, 512), (8, 192)  # coils, samples
BYTES = 1 << 30
AT_ONCE = 512  # buffers of a plain write
DIFFERENT = 64  # readouts
REPEATS = 5


def main(folder: str | None = None) -> None:
    """Print the rates of both, one after the other several times, and their ratio."""
    spool.PATIENCE_S = 1e6  # it is the disk that is measured
    table = Table(title=f"{BYTES / 1e6:.0f} MB a scan, median of {REPEATS}")
    for heading in ("readouts", "beside", "spool MB/s", "plain MB/s", "ratio", "lowest MB/s"):
        table.add_column(heading, justify="right")
    for coils, samples in SHAPES:
        for name, task in TASKS.items():
            with tempfile.TemporaryDirectory(dir=folder) as place, beside(task):
                pairs = list(measure(Path(place), coils, samples))
            spooled, plain = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            lowest = min(ours for ours, _ in pairs)
            rates = (f"{value:.3g}" for value in (spooled, plain, ratio, lowest))
            table.add_row(f"{coils} x {samples}", name, *rates)
    Console().print(table)


def measure(place: Path, coils: int, samples: int) -> Iterator[tuple[float, float]]:
    """Give MB/s of the spool and of a plain write, again and again."""
    shape = DIFFERENT, coils, 2 * samples
    data = np.random.default_rng(0).standard_normal(shape, np.float32).view(np.complex64)
    readouts = [readout(each, 0) for each in data]
    for _ in range(REPEATS):
        yield rate(lambda: spooled(place, readouts)), rate(lambda: plain(place, readouts))


def rate(write: Callable[[], Path]) -> float:
    """Return MB/s, with nothing left for the disk to do from before."""
    os.sync()
    start = time.perf_counter()
    path = write()
    taken_s = time.perf_counter() - start
    path.unlink()
    return BYTES / 1e6 / taken_s


def spooled(place: Path, readouts: list[Acquisition]) -> Path:
    """Let a scan pass through the spool to its end, when all has been written."""
    opened = spool.Spool.opened(SpoolSettings(folder=place, keep="all"), "<header/>")
    assert opened
    number = BYTES // readouts[0].data.nbytes
    for _ in opened.tee(readouts[i % DIFFERENT] for i in range(number)):
        pass
    kept = opened.finish(None)
    assert kept
    assert opened.whole
    return kept


def plain(place: Path, readouts: list[Acquisition]) -> Path:
    """Write as many bytes as there are in the readouts, in large pieces."""
    path = place / "plain"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    buffers = [readout.data.data for readout in readouts] * (AT_ONCE // DIFFERENT)
    for _ in range(BYTES // (AT_ONCE * buffers[0].nbytes)):
        os.writev(descriptor, buffers)
    os.close(descriptor)
    return path


def transform(stop: threading.Event) -> None:
    """Compute as the chain does, in numpy, which lets others run."""
    volume = np.ones((64, 64, 64), np.complex64)
    while not stop.is_set():
        np.fft.fftn(volume)


def count(stop: threading.Event) -> None:
    """Keep the interpreter for itself, as far as it lets one."""
    while not stop.is_set():
        sum(range(1000))


TASKS: dict[str, Callable[[threading.Event], None] | None] = {
    "nothing": None,
    "FFTs in a thread": transform,
    "Python in a thread": count,
}


@contextmanager
def beside(task: Callable[[threading.Event], None] | None) -> Iterator[None]:
    """Have a thread do something meanwhile."""
    stop = threading.Event()
    thread = threading.Thread(target=task or (lambda _: None), args=[stop])
    thread.start()
    yield
    stop.set()
    thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
