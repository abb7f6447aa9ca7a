"""How true the combined echoes are for each way to scan: a table.

Usage: python -m tests.benchmarks.variants [--labels HEAD.nii.gz] [--voxel MM] [NAME ...]
Names are those of `gadgetron-qsm simulate --variant`; all of them when none is given.

Errors are of the complex echoes in the brain, relative to the true ones: those of the same object
and voxels, fully sampled without noise. `noise` is the error over that of the full scan with
noise; `expected` is what the number of lines, g of GRAPPA and averages make of it.
"""

from __future__ import annotations

import argparse
import logging
import math
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from gadgetron_qsm import chain
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate
from gadgetron_qsm.phantom.protocol import Extras, Readout, Sampling
from gadgetron_qsm.phantom.variants import VARIANTS, varied
from gadgetron_qsm.settings import Settings

SETTINGS = {
    "bipolar-unflagged": {"kspace.reversed_echoes": "even"},
    "holes": {"kspace.incomplete": "warn"},
}
NOISELESS = 1e6  # SNR; with a noise scan all the same, which decides how coils are weighted
COLUMNS = ("variant", "lines %", "error %", "to full scan %", "noise", "expected")


@dataclass(frozen=True)
class Result:
    """Combined echoes of the first repetition, and which part of the full scan's lines came."""

    echoes: Echoes
    brain: np.ndarray
    lines: int


def main() -> None:
    """Simulate, combine and compare each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--voxel", type=float, default=3.0)
    parser.add_argument("--coils", type=int, default=8)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    plain = Scan(voxel_size_mm=(given.voxel,) * 3, coils=given.coils)
    table = Table(title=f"voxels of {given.voxel:g} mm, {given.coils} coils, SNR {plain.snr:g}")
    for heading in COLUMNS:
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for name in given.names or VARIANTS:
        table.add_row(name, *cells(name, varied(plain, [name]), given.labels))
    Console(width=140).print(table)


def cells(name: str, scan: Scan, labels: Path | None) -> list[str]:
    """Return the texts of a row."""
    try:
        return [f"{number:.3g}" for number in compare(name, scan, labels)]
    except QsmError as error:
        return [f"refused: {error}"]


def compare(name: str, scan: Scan, labels: Path | None) -> tuple[float, ...]:
    """Return the numbers of a row."""
    receivers = Extras(idle_channels=scan.extras.idle_channels)
    full = replace(scan, sampling=Sampling(), readout=Readout(), extras=receivers)
    true, noisy = reference(replace(full, snr=NOISELESS), labels), reference(full, labels)
    got = combined(scan, labels, tuple(SETTINGS.get(name, {}).items()))
    error, of_full = (nrmse(result, true) for result in (got, noisy))
    share = got.lines / noisy.lines / scan.sampling.repetitions
    gain = 1.0
    if got.echoes.g_factor is not None:
        gain = float(np.sqrt(np.mean(np.square(got.echoes.g_factor[got.brain], dtype=float))))
    expected = gain / math.sqrt(share)
    return 100 * share, 100 * error, 100 * nrmse(got, noisy), error / of_full, expected


@lru_cache(maxsize=4)
def reference(scan: Scan, labels: Path | None) -> Result:
    """A scan that others are compared with."""
    return combined(scan, labels, ())


def combined(scan: Scan, labels: Path | None, changes: tuple[tuple[str, str], ...]) -> Result:
    """Simulate a scan and combine its coils."""
    settings = Settings.from_properties({"deliver.maps": "chi,g_factor", **dict(changes)})
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "scan.h5"
        truth = simulate(raw, scan, labels)
        with np.load(truth) as file:
            brain = file["brain"].astype(bool)
        with RawFile(raw) as file:
            header, lines = Header.parse(file.header_text), len(file)
            readouts = (readout for block in file.blocks() for readout in block)
            scans = list(chain.combine(readouts, header, settings))
    return Result(scans[0], brain, lines)


def nrmse(result: Result, true: Result) -> float:
    """Error of the echoes in the brain, but for a factor that all have in common."""
    got, wanted = (r.echoes.data[:, true.brain].ravel() for r in (result, true))
    got = got * (np.vdot(got, wanted) / np.vdot(got, got))
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


if __name__ == "__main__":
    main()
