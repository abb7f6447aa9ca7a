"""Regions as a table for spreadsheets, and with sides and z-scores as JSON for computers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gadgetron_qsm.measure.asymmetry import Asymmetry
from gadgetron_qsm.measure.controls import ZScore
from gadgetron_qsm.measure.labels import Side
from gadgetron_qsm.measure.regions import Row
from gadgetron_qsm.measure.statistics import Statistics
from gadgetron_qsm.report.files import replacing

DECIMALS = {"voxels": 0, "volume_mm3": 1, "fraction_inside": 3, "standard_error": 3}
OTHERWISE = 2  # decimals of values in ppb and 1/s, of percent and z: beyond what any map means

WHERE = ("region", "side", "map", "unit", "reference")
NUMBERS = tuple(field.name for field in fields(Statistics))
CORRECTED = "corrected_mean"
CONTROLS = ("z", "control_mean", "control_sd", "control_age_min", "control_age_max", "control_n")


def write_table(path: Path, rows: Sequence[Row], z_scores: Sequence[ZScore] = ()) -> None:
    """Write a CSV file with a line for each region, side and map.

    Columns: WHERE, then NUMBERS (mean to maximum, and the standard error of the mean, in `unit`;
    the volume in mm3; the fraction of the region that lies in the map), CORRECTED, the mean without
    partial volume, then CONTROLS, empty for rows without. Empty are also the side of what lies in
    the middle, the reference of maps that are not relative, and what is not known.
    Raises QsmError when the file cannot be written.
    """
    of_controls = {_key(score.row): _controls(score) for score in z_scores}
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*WHERE, *NUMBERS, CORRECTED, *CONTROLS), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**_plain(row), **of_controls.get(_key(row), {})})


def content_of(
    rows: Sequence[Row],
    asymmetries: Sequence[Asymmetry] = (),
    z_scores: Sequence[ZScore] = (),
) -> dict[str, Any]:
    """Return all of it as JSON takes it."""
    return {
        "regions": [_plain(row) for row in rows],
        "asymmetries": [_asymmetry(asymmetry) for asymmetry in asymmetries],
        "z_scores": [
            {**_where(score.row), "mean": _rounded("mean", score.row.found.mean)} | _controls(score)
            for score in z_scores
        ],
    }


def _plain(row: Row) -> dict[str, Any]:
    numbers = {name: _rounded(name, value) for name, value in asdict(row.found).items()}
    return {**_where(row), **numbers, CORRECTED: _rounded(CORRECTED, row.corrected)}


def _where(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in WHERE}


def _key(row: Row) -> tuple[str, Side | None, str]:
    return row.region, row.side, row.map


def _controls(score: ZScore) -> dict[str, Any]:
    control = score.control
    return {
        "z": _rounded("z", score.z),
        "control_mean": control.mean,
        "control_sd": control.sd,
        "control_age_min": control.age_min,
        "control_age_max": control.age_max,
        "control_n": control.n,
    }


def _asymmetry(found: Asymmetry) -> dict[str, Any]:
    where = {name: getattr(found, name) for name in ("region", "map", "unit", "lesion_side")}
    numbers = {
        "left": found.left,
        "right": found.right,
        "left_minus_right": found.difference,
        "standard_error": found.difference_error,
        "index_percent": found.index_percent,
        "index_standard_error": found.index_error,
        "ipsilateral": found.ipsilateral,
        "contralateral": found.contralateral,
        "ipsilateral_minus_contralateral": found.ipsilateral_excess,
    }
    return {**where, **{name: _rounded(name, value) for name, value in numbers.items()}}


def _rounded(name: str, value: float | None) -> float | None:
    if value is None or isinstance(value, int):
        return value
    return round(value, DECIMALS.get(name, OTHERWISE))
