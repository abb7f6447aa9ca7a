"""Changes from visit to visit as JSON and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gadgetron_qsm.measure.change import DRIFT_MM, MISPLACED_MM, Change
from gadgetron_qsm.measure.detectable import CONFIDENCE
from gadgetron_qsm.measure.visits import Comparison, Interval
from gadgetron_qsm.report.files import replacing, write_json

SCHEMA = {"name": "gadgetron-qsm comparison", "version": 1}
COLUMNS = (
    "structure",
    "side",
    "first_visit",
    "later_visit",
    "first_ppb",
    "later_ppb",
    "change_ppb",
    "detectable_ppb",
    "changed",
    "uncertainty_ppb",
    "elsewhere_ppb",
    "noise_ppb",
    "misplaced_ppb",
    "fraction_inside",
)
DIGITS = 3


def write_changes(folder: Path, comparison: Comparison, use: str) -> None:
    """Write changes.json, which also says how the visits were compared, and changes.csv.

    `use` is what the numbers are for. Raises QsmError when a file cannot be written.
    """
    write_json(folder / "changes.json", _content(comparison, use))
    with (
        replacing(folder / "changes.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows(comparison))


def rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Give a row for each region of each later visit, keys as COLUMNS; None where not known."""
    for interval in comparison.intervals:
        for change in interval.changes:
            yield {
                "structure": change.structure.name,
                "side": change.structure.side,
                "first_visit": comparison.first.name,
                "later_visit": interval.later.name,
                **_numbers(change),
            }


def _numbers(change: Change) -> dict[str, Any]:
    told = {name: getattr(change, name) for name in COLUMNS[4:]}
    return {name: _rounded(value) for name, value in told.items()}


def _rounded(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value


def _content(comparison: Comparison, use: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "use": use,
        "patient": comparison.first.patient,
        "reference": comparison.first.about["reference"],
        "detectable": {
            "confidence": CONFIDENCE,
            "regions": len(comparison.first.labels.structures) if comparison.first.labels else 0,
            "misplaced_mm": MISPLACED_MM,
            "drift_mm": DRIFT_MM,
        },
        "visits": [
            {"name": visit.name, "acquired": visit.about.get("acquired")}
            for visit in comparison.visits
        ],
        "intervals": [_interval(interval) for interval in comparison.intervals],
        "changes": list(rows(comparison)),
        "warnings": comparison.warnings,
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "later_visit": interval.later.name,
        "head_turned_deg": round(interval.rigid.angle_deg, DIGITS),
        "head_shifted_mm": round(interval.rigid.shift_mm, DIGITS),
        "registration_correlation": round(interval.rigid.quality, DIGITS),
        "rest_of_brain_ppb": _rounded(interval.reference_ppb),
        "differences": interval.differences,
    }
