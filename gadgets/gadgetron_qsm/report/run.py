"""All that a run leaves for people, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gadgetron_qsm.report.files import write_json
from gadgetron_qsm.report.page import write_page
from gadgetron_qsm.report.pictures import drawn, save_picture
from gadgetron_qsm.report.provenance import provenance
from gadgetron_qsm.report.record import Record
from gadgetron_qsm.report.report import write_report
from gadgetron_qsm.report.thumbnail import NAME as THUMBNAIL
from gadgetron_qsm.report.thumbnail import save_thumbnail
from gadgetron_qsm.settings import Settings


def write_run(
    folder: Path,
    record: Record,
    *,
    settings: Settings,
    timing_s: Mapping[str, float] | None = None,
    accuracy: Mapping[str, Any] | None = None,
    failure: Exception | str | None = None,
) -> None:
    """Write report.json, provenance.json, pictures and report.html over those of before.

    `record` has seen the maps that there are, be it none; `timing_s` adds to the stages' times
    (`latency`); `accuracy` is the answer of accuracy.compare; `failure` is why no more maps came.
    picture.png shows all maps and thumbnail.png chi; without any to show there is none, and one of
    before goes.
    Raises QsmError when a file cannot be written.
    """
    first, later = record.reports(failure)
    report = write_report(
        folder / "report.json",
        first,
        series=record.series,
        timing_s=timing_s or {},
        accuracy=accuracy,
        later=later,
        measurements=[{"repetition": m.repetition + 1, **m.content} for m in record.measurements],
    )
    maps = record.maps
    made = provenance(record.header, settings, first, list(maps.values()))
    told = write_json(folder / "provenance.json", made)
    pictures = drawn(maps)
    write_page(folder / "report.html", report, told, maps, pictures, record.measurements)
    save_picture(folder / "picture.png", pictures)
    if "chi" in maps:
        save_thumbnail(folder / THUMBNAIL, maps["chi"])
    else:
        (folder / THUMBNAIL).unlink(missing_ok=True)
