"""What limits the accuracy: the chain with one stage after the other replaced by the truth.

Usage: python -m tests.benchmarks.limits RAW.h5, a file that 'gadgetron-qsm simulate' wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.background.vsharp import vsharp
from gadgetron_qsm.grid import dipole_kernel, good_size, pad_centre, unpad_centre
from gadgetron_qsm.inversion.tv import tv
from gadgetron_qsm.report.accuracy import compare
from tests.benchmarks.__main__ import run_chain


def main(raw: Path) -> None:
    """Print what the chain, and its last stages on the true total and local field, come to."""
    maps = {volume.name: volume for volume in run_chain(raw)}
    with np.load(raw.with_name(f"{raw.stem}_truth.npz")) as file:
        truth = dict(file)
    geometry, mask = maps["chi"].geometry, maps["mask"].data > 0
    voxel_size, b0_direction = geometry.voxel_size, geometry.b0_direction
    local, inner = vsharp(truth["field_ppm"], truth["brain"], voxel_size)
    true_local = np.where(mask, local_field(truth, voxel_size, b0_direction), 0)
    rows = {
        "the chain, from raw data": (maps["chi"].data, mask),
        "from the true total field": (1000 * tv(local, inner, voxel_size, b0_direction), inner),
        "from the true local field": (1000 * tv(true_local, mask, voxel_size, b0_direction), mask),
    }
    table = Table(title=raw.name)
    for heading in ("chi", "NRMSE %", "slope", "nuclei RMSE ppb", "coverage"):
        table.add_column(heading, justify="left" if heading == "chi" else "right")
    for name, (chi_ppb, valid) in rows.items():
        got = compare(chi_ppb, valid, truth)
        table.add_row(
            name,
            f"{got['nrmse_percent']:.1f}",
            f"{got['slope']:.2f}",
            f"{got['nuclei_rmse_ppb']:.1f}",
            f"{got['coverage']:.2f}",
        )
    Console().print(table)


def local_field(truth: dict[str, Any], voxel_size: Any, b0_direction: Any) -> np.ndarray:
    """Field (ppm) of the brain's own sources."""
    sources = np.where(truth["brain"], truth["chi_ppm"], 0).astype(np.float32)
    shape = [good_size(2 * n) for n in sources.shape]
    kernel = dipole_kernel(shape, voxel_size, b0_direction, like=sources)
    field = scipy.fft.irfftn(kernel * scipy.fft.rfftn(pad_centre(sources, shape)), s=shape)
    return unpad_centre(field, sources.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
