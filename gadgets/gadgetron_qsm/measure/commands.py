"""The command that compares visits: `gadgetron-qsm compare VISIT1 VISIT2 [...]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadgetron_qsm.terminal import print_line, screen

if TYPE_CHECKING:
    from rich.table import Table

    from gadgetron_qsm.measure.change import Change
    from gadgetron_qsm.measure.visits import Comparison, Interval

VERDICTS = {True: "changed", False: "no", None: "not known"}


def compare(
    visits: Annotated[
        list[Path], typer.Argument(metavar="VISIT1 VISIT2 [...]", help="folders of measurements")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    allow_differences: Annotated[
        bool,
        typer.Option(
            "--allow-differences",
            help="compare although protocol or settings differ; what differs is listed",
        ),
    ] = False,
) -> None:
    """Tell what changed between visits of a patient, region by region, and what is detectable.

    A visit is the folder that a measurement wrote. The regions are those of the earliest, whose
    head is laid on that of each later one. Changes are relative to the rest of the brain around a
    region; it has changed when it did so by more than could be told from no change (95 %).
    Writes changes.csv, changes.json and trend.png.
    """
    from gadgetron_qsm.dicom.provenance import NOT_CLINICAL
    from gadgetron_qsm.errors import UsageError
    from gadgetron_qsm.measure.changes import write_changes
    from gadgetron_qsm.measure.folder import read_visit
    from gadgetron_qsm.measure.trend import save_trend
    from gadgetron_qsm.measure.visits import compare as compare_visits

    if len(visits) < 2:
        raise UsageError("one visit is nothing to compare; name the folders of two or more")
    found = compare_visits(
        [read_visit(folder) for folder in visits], allow_differences=allow_differences
    )
    write_changes(output, found, NOT_CLINICAL)
    save_trend(output / "trend.png", found, NOT_CLINICAL)
    for interval in found.intervals:
        screen.print(_table(found, interval))
    for line in _told(found):
        print_line(line)
    print_line(f"written to {output}/: changes.csv, changes.json, trend.png")
    print_line(NOT_CLINICAL)


def _table(comparison: Comparison, interval: Interval) -> Table:
    from rich.table import Table
    from rich.text import Text

    lies = (
        f"turned {interval.rigid.angle_deg:.1f} degrees, shifted {interval.rigid.shift_mm:.1f} mm"
    )
    title = f"{interval.later.name} since {comparison.first.name}; head {lies}"
    table = Table(title=Text(title), title_justify="left")
    table.add_column("region")
    for heading in ("first, ppb", "later, ppb", "change", "detectable", "in the maps"):
        table.add_column(heading, justify="right")
    table.add_column("changed")
    for change in interval.changes:
        style = "bold" if change.changed else ""
        table.add_row(Text(change.structure.label), *_cells(change), style=style)
    return table


def _cells(change: Change) -> Iterator[str]:
    yield f"{change.first_ppb:.1f}"
    yield f"{change.later_ppb:.1f}"
    yield f"{change.change_ppb:+.1f}"
    yield "not known" if change.detectable_ppb is None else f"{change.detectable_ppb:.1f}"
    yield f"{100 * change.fraction_inside:.0f} %"
    yield VERDICTS[change.changed]


def _told(comparison: Comparison) -> Iterator[str]:
    for warning in comparison.warnings:
        yield f"warning: {warning}"
    for interval in comparison.intervals:
        for difference in interval.differences:
            yield f"warning: {interval.later.name} differs in {difference}"
