"""Times of single steps, and the unit that methods are measured in: a real FFT pair."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from gadgetron_qsm import chain
from gadgetron_qsm.data import Map
from gadgetron_qsm.grid import good_size
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import Settings

REPEATS = 5


def run_chain(raw: Path) -> list[Map]:
    """Run the stages on a raw file, without sockets."""
    settings = Settings()
    with RawFile(raw) as file, processors():
        header = Header.parse(file.header_text)
        readouts = (readout for block in file.blocks() for readout in block)
        scans = chain.combine(readouts, header, settings)
        return list(chain.susceptibility(scans, settings))


def fft_pair_seconds(matrix: tuple[int, int, int]) -> float:
    """Time of a forward and an inverse real transform of a volume, single precision."""
    shape = [good_size(n) for n in matrix]
    volume = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return seconds(lambda: scipy.fft.irfftn(scipy.fft.rfftn(volume), s=shape))


def seconds(task: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the best of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)
