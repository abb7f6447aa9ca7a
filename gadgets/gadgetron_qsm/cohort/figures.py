"""What is told of each scan of a cohort: its state, and the figures that tell how good it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gadgetron_qsm.cohort.finished import NAME as FINISHED
from gadgetron_qsm.report.thumbnail import NAME as THUMBNAIL

REPORT, PAGE = "report.json", "report.html"
LARGEST_THUMBNAIL = 1 << 16  # bytes; a larger one is none of ours

State = Literal["done", "failed", "not run"]
Side = Literal["high", "low", "both"]


@dataclass(frozen=True)
class Figure:
    """A figure of quality: where it is in report.json, and what is bad of it.

    `path` are the keys under `quality`. `bad` is the side on which a value is worse than those of
    other scans. A value that is less than `least` from theirs is like them, however alike they are.
    """

    heading: str
    unit: str
    path: tuple[str, ...]
    bad: Side
    least: float
    digits: int = 0


FIGURES: Mapping[str, Figure] = {
    "phase_residues": Figure("phase residues", "", ("phase_residues", "combined"), "high", 10),
    "phase_residual": Figure(
        "residual of the echo fit", "rad", ("phase_residual_rad",), "high", 0.005, 3
    ),
    "mask_volume": Figure("mask", "ml", ("mask_volume_ml",), "both", 20),
    "streaking": Figure("streaking", "", ("streaking_ratio",), "high", 0.05, 2),
    "reference_sd": Figure("SD of the reference", "ppb", ("reference", "sd_ppb"), "both", 1, 1),
    "ghosting": Figure("ghosting", "%", ("ghosting_percent",), "high", 0.5, 1),
    "warnings": Figure("warnings", "", (), "high", 1),
}


@dataclass(frozen=True)
class Row:
    """One scan: its folder, figures by the keys of FIGURES as far as there are, a small PNG."""

    name: str
    folder: Path
    state: State
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    thumbnail: bytes | None = None


def row_of(folder: Path, name: str, failed: str | None = None) -> Row:
    """Read what is told of the scan in a folder; of several repetitions that is the first.

    `failed` is why it has no results, as cohort.task.Failed has it. A scan counts as done by its
    finished.json and a report that can be read, and otherwise as not run.
    """
    if failed is not None:
        return Row(name, folder, "failed", failed)
    report = _report(folder) if (folder / FINISHED).is_file() else None
    if report is None:
        return Row(name, folder, "not run")
    listed = report.get("warnings")
    warnings = tuple(map(str, listed)) if isinstance(listed, list) else ()
    figures = {**dict(_read(report)), "warnings": float(len(warnings))}
    return Row(name, folder, "done", "", figures, warnings, _thumbnail(folder))


def _report(folder: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _read(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, figure in FIGURES.items():
        value: Any = report.get("quality")
        for key in figure.path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)


def _thumbnail(folder: Path) -> bytes | None:
    try:
        with (folder / THUMBNAIL).open("rb") as file:
            png = file.read(LARGEST_THUMBNAIL + 1)
    except OSError:
        return None
    return png if len(png) <= LARGEST_THUMBNAIL else None
