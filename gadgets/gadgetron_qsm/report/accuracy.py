"""A susceptibility map against the truth of a simulated head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from gadgetron_qsm.errors import QsmError

DEEP_NUCLEI = range(1, 8)  # label numbers of the digital head

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]


def compare(chi_ppb: Volume, mask: Mask, truth: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a susceptibility map against the truth.

    chi_ppb (z, y, x) in ppb; mask (z, y, x) bool: where it holds. `truth` has chi_ppm, brain,
    labels (z, y, x), label_numbers, label_names. Everything is measured where the mask and the
    true brain overlap, measured and true values each relative to their mean there.

    The answer has
    - `nrmse_percent`: root mean square error over root mean square of the truth;
    - `nrmse_whole_brain_percent`: the same over the whole true brain, both demeaned there, where
      a voxel outside the mask counts as measured at the reference;
    - `slope`: of the regression of the nuclei's measured on their true means (None: fewer than 2);
    - `nuclei_rmse_ppb`, `nuclei` (one row each, means over the voxels inside);
    - `coverage`: fraction of the true brain in the mask; `mask_outside_brain`: fraction of the
      mask beyond the true brain.
    Raises QsmError when shapes differ or nothing overlaps.
    """
    brain, inside, measured, true = _overlap(chi_ppb, mask, truth)
    rows = _nuclei(measured, true, inside, truth)
    differences = np.array([row["difference_ppb"] for row in rows])
    filled = np.where(inside, measured, 0)
    return {
        "nrmse_percent": _nrmse_percent(measured[inside], true[inside]),
        "nrmse_whole_brain_percent": _nrmse_percent(filled[brain], true[brain]),
        "slope": _slope(rows),
        "nuclei_rmse_ppb": float(np.sqrt(np.mean(differences**2))) if rows else None,
        "coverage": np.count_nonzero(inside) / np.count_nonzero(brain),
        "mask_outside_brain": 1 - np.count_nonzero(inside) / np.count_nonzero(mask),
        "nuclei": rows,
    }


def accuracy_table(accuracy: Mapping[str, Any]) -> Table:
    """Return the nuclei, measured against true, with the whole map's numbers below.

    The title names the repetition where `accuracy` does: there are several, and it is one's.
    """
    of = f" (repetition {accuracy['repetition']})" if "repetition" in accuracy else ""
    table = Table(title=f"Susceptibility, measured against true{of}", caption=summary(accuracy))
    table.add_column("nucleus")
    for heading in ("measured ppb", "true ppb", "difference", "voxels", "inside mask"):
        table.add_column(heading, justify="right")
    for row in accuracy["nuclei"]:
        table.add_row(
            row["name"],
            f"{row['measured_ppb']:.1f}",
            f"{row['true_ppb']:.1f}",
            f"{row['difference_ppb']:+.1f}",
            str(row["voxels"]),
            f"{row['fraction_inside']:.0%}",
        )
    return table


def summary(accuracy: Mapping[str, Any]) -> str:
    """Say in a line how well the whole map agrees."""
    slope, rmse = accuracy["slope"], accuracy["nuclei_rmse_ppb"]
    return ", ".join(
        [
            f"NRMSE {accuracy['nrmse_percent']:.1f} %",
            f"over the whole brain {accuracy['nrmse_whole_brain_percent']:.1f} %",
            f"slope {slope:.2f}" if slope is not None else "no slope",
            f"nuclei RMSE {rmse:.1f} ppb" if rmse is not None else "no nuclei",
            f"coverage {accuracy['coverage']:.2f}",
        ]
    )


def _overlap(
    chi_ppb: Volume, mask: Mask, truth: Mapping[str, Any]
) -> tuple[Mask, Mask, Volume, Volume]:
    brain = np.asarray(truth["brain"], dtype=bool)
    if not chi_ppb.shape == mask.shape == brain.shape:
        raise QsmError(
            f"map {chi_ppb.shape}, mask {mask.shape} and truth {brain.shape} differ in shape; "
            "compare with the truth that was saved with this scan"
        )
    inside = brain & mask
    if not inside.any():
        raise QsmError("the map's mask and the true brain share no voxel; nothing to compare")
    true = np.asarray(truth["chi_ppm"], dtype=np.float64) * 1000
    measured = chi_ppb.astype(np.float64)
    return brain, inside, measured - measured[inside].mean(), true - true[inside].mean()


def _nrmse_percent(measured: Volume, true: Volume) -> float:
    measured, true = measured - measured.mean(), true - true.mean()
    return float(100 * np.linalg.norm(measured - true) / np.linalg.norm(true))


def _nuclei(
    measured: Volume, true: Volume, inside: Mask, truth: Mapping[str, Any]
) -> list[dict[str, Any]]:
    labels = np.asarray(truth["labels"])
    numbers, names = truth["label_numbers"].tolist(), truth["label_names"].tolist()
    rows = []
    for number, name in zip(numbers, names, strict=True):
        region = labels == number
        held = region & inside
        if number in DEEP_NUCLEI and held.any():
            rows.append(_row(name, measured[held], true[held], int(np.count_nonzero(region))))
    return rows


def _row(name: str, measured: Volume, true: Volume, region_voxels: int) -> dict[str, Any]:
    return {
        "name": name,
        "measured_ppb": float(measured.mean()),
        "true_ppb": float(true.mean()),
        "difference_ppb": float(measured.mean() - true.mean()),
        "voxels": measured.size,
        "fraction_inside": measured.size / region_voxels,
    }


def _slope(rows: list[dict[str, Any]]) -> float | None:
    true = np.array([row["true_ppb"] for row in rows])
    measured = np.array([row["measured_ppb"] for row in rows])
    if len(rows) < 2 or np.ptp(true) == 0:
        return None
    deviation = true - true.mean()
    return float(deviation @ measured / (deviation @ deviation))
