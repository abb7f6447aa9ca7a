"""What people are shown of a cohort: what is to be done, and what became of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.cohort.look import Look, look
from gadgetron_qsm.cohort.outcomes import Outcome, Outcomes
from gadgetron_qsm.cohort.plan import Planned
from gadgetron_qsm.cohort.task import named
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.terminal import print_line, screen

ABSENT = "-"
WIDTH = 160  # of what is written to a file or a program


def print_plan(plan: Iterable[Planned], settings: Settings) -> None:
    """Print what is to be done with each scan and why, what that needs, its name in a dataset."""
    scans = list(plan)
    bids = ["in BIDS"] if any(scan.task.bids for scan in scans) else []
    table = _table("scan", *bids, "", "raw MB", "echoes", "matrix", "coils", "memory GB")
    for scan in scans:
        state = "keep" if scan.finished else f"replay: {scan.why}"
        try:
            size = f"{scan.task.raw.stat().st_size / 1e6:.0f}"
            told = _looked(look(scan.task.raw, settings))
        except OSError as error:
            size, state, told = ABSENT, f"fails: {error.strerror}", [ABSENT] * 4
        except QsmError as error:
            state, told = f"fails: {error}", [ABSENT] * 4
        called = [named(scan.task).stem] if bids else []
        table.add_row(Text(scan.task.name), *called, Text(state), size, *told)
    _print(table)


def _looked(found: Look | None) -> list[str]:
    if found is None:
        return [ABSENT] * 4
    matrix = " x ".join(map(str, found.matrix))
    coils = ABSENT if found.coils is None else str(found.coils)
    return [str(found.echoes), matrix, coils, _number(found.memory, 1e-9)]


def print_outcomes(outcomes: Outcomes, asked: Asked) -> None:
    """Print a table of the scans, their sum and, last, why some failed and how to try again."""
    table = _table("scan", "state", "s", "mask ml", "warnings")
    for scan in outcomes.scans.values():
        told = _report(scan)
        quality = told.get("quality", {})
        warnings = str(len(told["warnings"])) if "warnings" in told else ABSENT
        table.add_row(
            Text(scan.task.name),
            scan.state,
            _number(scan.seconds),
            _number(quality.get("mask_volume_ml")),
            warnings,
        )
    _print(table)
    print_line(", ".join(f"{count} {state}" for state, count in outcomes.totals().items()))
    for scan in outcomes.those("failed"):
        print_line(f"failed: {scan.task.name}: {scan.reason}")
        print_line(f"  try again: {asked.command_of(scan.task)}")


def _report(scan: Outcome) -> dict[str, Any]:
    """Return report.json of a scan that is done; nothing when it cannot be read."""
    try:
        content = (scan.task.folder / "report.json").read_bytes() if scan.finished else b"{}"
        told: dict[str, Any] = json.loads(content)
    except (OSError, ValueError):
        return {}
    return told


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        wide = heading in ("scan", "in BIDS", "")
        table.add_column(heading, justify="left" if wide else "right", overflow="fold")
    return table


def _print(table: Table) -> None:
    """Print it, on a terminal folded to its width; COLUMNS is the width of anything."""
    narrow = screen.is_terminal or "COLUMNS" in os.environ
    (screen if narrow else Console(width=WIDTH)).print(table)


def _number(value: float | None, scale: float = 1.0) -> str:
    return ABSENT if value is None else f"{value * scale:.1f}"
