"""Raw scans of 2 mm at 3 T, tilted, through the whole chain: what the maps say of lesions."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.phantom import Scan, simulate, tissue
from tests.benchmarks import lesions
from tests.benchmarks.scores import deeper_than, filled, nrmse, nuclei
from tests.benchmarks.timing import run_chain

SCAN = Scan(voxel_size_mm=(2.0, 2.0, 2.0), field_strength_t=3.0, tilt_deg=20.0)


def report(labels: Path) -> None:
    """Simulate two scans, run the chain on them, print how true their maps are."""
    print("\nraw scans, 2 mm, 3 T, tilted by 20 degrees, through the chain")
    print(
        "target: NRMSE at most 40 % on the brain less one voxel, coverage above 0.88, slope 0.95 "
        "to 1.02, RMSE at most 8 ppb"
    )
    print(f"{'':26}{'NRMSE':>8}{'cover':>8}{'slope':>8}{'RMSE':>8}{'s':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _scanned(labels, None, folder, "as it is")
        ill = lesions.with_bleed_and_calcification(labels, folder)
        _print_lesions(*_scanned(*ill, folder, "bleed, calcification"))
        raised = lesions.with_raised_putamen(labels, folder)
        _print_putamen(*_scanned(*raised, folder, "left putamen +30 ppb"))


def _scanned(
    labels: Path, values: Path | None, folder: Path, name: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Print the row of a scan; return chi in ppb, mask and truth."""
    raw = folder / "scan.h5"
    truth_path = simulate(raw, SCAN, labels, values)
    start = time.perf_counter()
    maps: dict[str, Map] = {volume.name: volume for volume in run_chain(raw)}
    seconds = time.perf_counter() - start
    with np.load(truth_path) as file:
        truth = dict(file)
    chi, mask = maps["chi"].data, maps["mask"].data > 0
    held = mask & truth["brain"]
    region = deeper_than(truth["brain"], maps["chi"].geometry.voxel_size, 2.0)
    got = filled(chi / 1000, held, region)
    slope, rmse = nuclei(got, truth["chi_ppm"], truth["labels"], region)
    cover = held.sum() / truth["brain"].sum()
    error = nrmse(got, truth["chi_ppm"], region)
    print(f"{name:26}{error:8.1f}{cover:8.3f}{slope:8.3f}{rmse:8.1f}{seconds:8.1f}", flush=True)
    return chi, mask, truth


def _print_lesions(chi: np.ndarray, mask: np.ndarray, truth: dict[str, Any]) -> None:
    """Print what bleed and calcification read, relative to the tissue around them."""
    for name, label, target in (
        ("bleed", tissue.VEIN, "above +600"),
        ("calcification", tissue.CALCIFICATION, "below -700"),
    ):
        lesion = truth["labels"] == label
        spot = _grown(lesion)
        around = _grown(_grown(spot)) & ~_grown(spot) & mask
        measured, true = (x - np.median(x[around]) for x in (chi, 1000 * truth["chi_ppm"]))
        peak, mean, true_mean = lesions.reading(measured, true, spot)
        lost = 100 * (1 - (mask & lesion).sum() / lesion.sum())
        print(
            f"  {name}: peak {peak:+.0f}, mean of its fullest voxels {mean:+.0f} (true "
            f"{true_mean:+.0f}, target {target}) ppb; {lost:.0f} % of it outside the mask"
        )


def _grown(spot: np.ndarray) -> np.ndarray:
    grown = spot.copy()
    for axis in range(3):
        for shift in (-1, 1):
            grown |= np.roll(grown, shift, axis)
    return grown


def _print_putamen(chi: np.ndarray, mask: np.ndarray, truth: dict[str, Any]) -> None:
    """Print how much more the left putamen has than the right one."""
    left, right = (mask & (truth["labels"] == label) for label in (tissue.VEIN, tissue.PUTAMEN))
    measured = float(chi[left].mean() - chi[right].mean())
    true = 1000 * float(truth["chi_ppm"][left].mean() - truth["chi_ppm"][right].mean())
    print(
        f"  putamen, left less right: {measured:+.1f}, true {true:+.1f} ppb, off by "
        f"{measured - true:+.1f} (target 5)"
    )
