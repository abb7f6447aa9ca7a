"""Time every stage on one simulated scan, in seconds and in real FFT pairs of the volume."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from rich.console import Console
from rich.table import Table

from gadgetron_qsm import chain
from gadgetron_qsm.data import Map
from gadgetron_qsm.grid import good_size
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import Settings

REPEATS = 5
STAGES = ("ingest", "coils", "field", "mask", "background", "inversion", "r2star")


def main() -> None:
    """Simulate the demo's scan, run the chain twice (the first time compiles), print a table."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "head.h5"
        simulate(raw, Scan())
        run_chain(raw)
        maps = run_chain(raw)
        read_s = seconds(lambda: read_all(raw))
        megabytes = raw.stat().st_size / 1e6
    pair_s = fft_pair_seconds(maps[-1].geometry.matrix)
    timing_s = maps[-1].report["timing_s"]
    shape = " x ".join(map(str, maps[-1].geometry.matrix))
    table = Table(title=f"{shape} voxels; one real FFT pair takes {pair_s * 1000:.1f} ms")
    for heading in ("stage", "seconds", "FFT pairs"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    table.add_row("reading the file", f"{read_s:.2f}", f"{megabytes / read_s:.0f} MB/s")
    for stage in STAGES:
        table.add_row(stage, f"{timing_s[stage]:.2f}", f"{timing_s[stage] / pair_s:.0f}")
    Console().print(table)


def run_chain(raw: Path) -> list[Map]:
    """Run the stages on a raw file, without sockets."""
    settings = Settings()
    with RawFile(raw) as file, processors():
        header = Header.parse(file.header_text)
        readouts = (readout for block in file.blocks() for readout in block)
        scans = chain.combine(readouts, header, settings)
        return list(chain.susceptibility(scans, settings))


def read_all(raw: Path) -> int:
    """Read every readout of a file in blocks."""
    with RawFile(raw) as file:
        return sum(len(block) for block in file.blocks())


def fft_pair_seconds(matrix: tuple[int, int, int]) -> float:
    """Time of a forward and an inverse real transform of a volume, single precision."""
    shape = [good_size(n) for n in matrix]
    volume = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return seconds(lambda: scipy.fft.irfftn(scipy.fft.rfftn(volume), s=shape))


def seconds(task: Callable[[], Any]) -> float:
    """Return the best of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
