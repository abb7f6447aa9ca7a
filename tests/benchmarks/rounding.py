"""How far rounding takes chi: the same scan with other data in the last place, other kernels.

Usage: python -m tests.benchmarks.rounding [--preset standard]

Each row is a replay in a process of its own, beside the first; see docs/reproducibility.md. The
heads are coarse and noisy, with 12 coils, and accelerated 2 x 2: the worst that was found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.phantom import Scan, simulate
from gadgetron_qsm.phantom.variants import varied
from tests.benchmarks.machine import described
from tests.sphere_scan import header_text, scan, write_raw

COMMAND = "from gadgetron_qsm.cli import main; main()"
CHANGES = {
    "one unit in the last place": {},
    "OpenBLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "OpenBLAS for Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "numpy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
}
HEAD = {"coils": 12, "fine_per_voxel": 1, "echo_times_s": (0.005, 0.0105, 0.016)}
VOXELS = {"head 5 x 4 x 4 mm": (5.0, 4.0, 4.0), "head 3 x 3 x 3 mm": (3.0, 3.0, 3.0)}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="standard")
    preset = parser.parse_args().preset
    print(described())
    table = Table("scan", "what differs", "voxels of the mask", "that differ", "median, ppb")
    for heading in ("99 %", "99.9 %", "largest", "rms"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory() as folder:
        for name, raw in _scans(Path(folder)).items():
            first = _maps(raw, Path(folder) / "first", preset, {})
            for change, environment in CHANGES.items():
                other = raw if environment else _nudged(raw)
                maps = _maps(other, Path(folder) / "other", preset, environment)
                table.add_row(name, change, *_told(first, maps))
    Console(width=160).print(table)


def _scans(folder: Path) -> dict[str, Path]:
    found = {"ball, 2 coils": folder / "ball.h5"}
    write_raw(folder / "ball.h5", list(scan()), header_text())
    for number, (name, voxel) in enumerate(VOXELS.items()):
        found[name] = folder / f"head{number}.h5"
        simulate(found[name], varied(Scan(voxel_size_mm=voxel, **HEAD), ["r2x2"]), None, None)
    return found


def _nudged(raw: Path) -> Path:
    """Copy a file with half of its samples moved to the next float32."""
    other, rng = raw.with_name(f"{raw.stem}-nudged.h5"), np.random.default_rng(3)
    shutil.copy(raw, other)
    with h5py.File(other, "r+") as file:
        rows = file["dataset/data"][:]
        for row in rows:
            data = row["data"]
            data[:] = np.where(rng.random(data.size) < 0.5, np.nextafter(data, np.float32(9)), data)
        file["dataset/data"][:] = rows
    return other


def _maps(
    raw: Path, output: Path, preset: str, environment: dict[str, str]
) -> dict[str, np.ndarray]:
    words = ["replay", str(raw), "--output", str(output), "--set", f"preset={preset}"]
    subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with h5py.File(output / "images.h5") as file:
        series = [part for name, part in file["dataset"].items() if name.startswith("image_")]
        return {_name(part): part["data"][0, 0] for part in series}


def _name(series: h5py.Group) -> str:
    found = re.search(r'gadgetron_qsm_map</name><value>"(\w+)"', series["attributes"].asstr()[0])
    assert found
    return found[1]


def _told(first: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    masks = first["mask"] > 0, other["mask"] > 0
    away = np.abs(first["chi"].astype(float) - other["chi"])[masks[0] & masks[1]]
    figures = [*np.quantile(away, [0.5, 0.99, 0.999, 1]), np.sqrt(np.mean(away**2))]
    flips = int((masks[0] != masks[1]).sum())
    return [str(int(masks[0].sum())), str(flips), *(f"{figure:.2g}" for figure in figures)]


if __name__ == "__main__":
    main()
