"""report.json: what was made, how, how long it took, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import series_description
from gadgetron_qsm.mrd.anonymous import anonymous_scan
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.peak_memory import peak_memory_bytes
from gadgetron_qsm.report.files import write_json

OF_A_REPETITION = ("timing_s", "quality", "warnings")


def write_report(
    path: Path,
    report: Mapping[str, Any],
    *,
    series: Sequence[Mapping[str, Any]],
    timing_s: Mapping[str, float],
    accuracy: Mapping[str, Any] | None = None,
    later: Mapping[int, Mapping[str, Any]] | None = None,
    measurements: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write report.json in one piece, and return what is in it.

    `report` is that of the chi map: `provenance`, `quality`, `warnings`, and the time of each
    stage in `timing_s`; the argument `timing_s` adds `ingest` and `latency`. `series` are
    entries of `series_entry`; `accuracy` is the answer of accuracy.compare. `later` are the reports
    of the repetitions behind that of `report`, by their number (from 1); `measurements` are what
    was measured in each. It holds no patient data.
    Raises QsmError when the file cannot be written, TypeError for a value without a form in JSON.
    """
    methods = dict(report.get("provenance", {}))
    if "scan" in methods:
        methods["scan"] = anonymous_scan(methods["scan"])
    content = {
        "series": series,
        "timing_s": {**timing_s, **report.get("timing_s", {})},
        "peak_memory_bytes": peak_memory_bytes(),
        "provenance": {"software": f"gadgetron-qsm {__version__}", **methods},
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
    if measurements:
        content["measurements"] = measurements
    return write_json(path, content)


def series_entry(
    volume: Map, header: Header, files: Sequence[Path] = (), root: Path | None = None
) -> dict[str, Any]:
    """One entry of the report's `series`: no identifier of patient, study or series in it.

    `files` are those of its objects; their folder is named relative to `root`. Without files,
    or outside `root`, no folder is named.
    """
    return {
        "name": volume.name,
        "description": series_description(volume, header),
        "repetition": volume.repetition + 1,
        "unit": volume.unit,
        "folder": _folder(files, root),
        "images": len(files) or volume.data.shape[0],
    }


def _folder(files: Sequence[Path], root: Path | None) -> str | None:
    if not files or root is None or not files[0].is_relative_to(root):
        return None
    return files[0].parent.relative_to(root).as_posix()
