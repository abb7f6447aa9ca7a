"""report.json: what was made, how, how long it took, and how far to trust it."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import series_description
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.plain import plain

OF_A_REPETITION = ("timing_s", "quality", "warnings")


def write_report(
    path: Path,
    report: Mapping[str, Any],
    *,
    series: Sequence[Mapping[str, Any]],
    timing_s: Mapping[str, float],
    accuracy: Mapping[str, Any] | None = None,
    later: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """Write report.json in one piece.

    `report` is that of the chi map: `provenance`, `quality`, `warnings`, and the time of each
    stage in `timing_s`; the argument `timing_s` adds `ingest` and `latency`. `series` are
    entries of `series_entry`; `accuracy` is the answer of accuracy.compare. `later` are the reports
    of the repetitions behind that of `report`, by their number (from 1).
    Raises QsmError when the file cannot be written, TypeError for a value without a form in JSON.
    """
    content = {
        "series": series,
        "timing_s": {**timing_s, **report.get("timing_s", {})},
        "peak_memory_bytes": peak_memory_bytes(),
        "provenance": {"software": f"gadgetron-qsm {__version__}", **report.get("provenance", {})},
        "quality": report.get("quality", {}),
        "warnings": report.get("warnings", []),
    }
    if accuracy is not None:
        content["accuracy"] = accuracy
    if later:
        content["later_repetitions"] = [
            {"repetition": number, **{part: made.get(part, {}) for part in OF_A_REPETITION}}
            for number, made in later.items()
        ]
    text = json.dumps(plain(content), indent=2, allow_nan=False, ensure_ascii=False)
    with replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def series_entry(volume: Map, header: Header, files: Sequence[Path], root: Path) -> dict[str, Any]:
    """One entry of the report's `series`: no identifier of patient, study or series in it.

    `files` as write_series returns them; the folder is named relative to `root`.
    """
    return {
        "name": volume.name,
        "description": series_description(volume, header),
        "repetition": volume.repetition + 1,
        "unit": volume.unit,
        "folder": files[0].parent.relative_to(root).as_posix(),
        "images": len(files),
    }


def peak_memory_bytes() -> int:
    """Largest resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
