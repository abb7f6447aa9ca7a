"""The course of chi over the visits, a picture with a panel for each structure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gadgetron_qsm.measure.change import Change
from gadgetron_qsm.measure.visits import Comparison
from gadgetron_qsm.report.files import replacing

COLUMNS, PANEL_INCHES, FOOT_INCHES, DPI = 3, (3.2, 2.4), 0.6, 110
COLOURS = {"left": "#0072b2", "right": "#d55e00", None: "#444444"}  # that all eyes tell apart
BESIDE = {"left": -0.01, "right": 0.01, None: 0.0}  # of the time: sides do not hide each other
SECONDS_A_DAY = 86400.0
BAND = "Band: what cannot be told from no change (95 %). Filled: first visit, and changes since."
VISIT = "visit"  # where days are not known


def save_trend(path: Path, comparison: Comparison, use: str) -> None:
    """Write a PNG; `use`, what it is for, is written below. Raises QsmError when it cannot be."""
    with replacing(path) as part:
        draw(comparison, use).savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def draw(comparison: Comparison, use: str) -> Figure:
    """Return the figure: chi (ppb) of both sides over days, or visits, in a panel a structure."""
    names = list(dict.fromkeys(course[0].structure.name for course in _courses(comparison)))
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    # a panel alone is made wide enough for what is written below
    width, height = PANEL_INCHES[0] * max(columns, 2), PANEL_INCHES[1] * rows + FOOT_INCHES
    foot = FOOT_INCHES / height
    layout = ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot))
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    times, unit = _times(comparison)
    for number, name in enumerate(names):
        ax = figure.add_subplot(rows, columns, number + 1)
        ax.set_title(name, fontsize=9)
        ax.set_ylabel("chi, ppb", fontsize=8)
        ax.set_xlabel(unit, fontsize=8)
        ax.tick_params(labelsize=7)
        if unit == VISIT:
            ax.set_xticks(times)
            ax.xaxis.set_major_formatter("{x:.0f}")
        for course in _courses(comparison):
            if course[0].structure.name == name:
                _draw_course(ax, times, course)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=7)
    figure.text(0.01, 0.25 * foot, f"{BAND}\n{use}", fontsize=7)
    return figure


def _courses(comparison: Comparison) -> list[tuple[Change, ...]]:
    """Return the changes since the first visit of each region that all the visits show."""
    found = [{c.structure: c for c in interval.changes} for interval in comparison.intervals]
    shown = [structure for structure in found[0] if all(structure in of for of in found)]
    return [tuple(of[structure] for of in found) for structure in shown]


def _times(comparison: Comparison) -> tuple[list[float], str]:
    """Return when the visits were: days since the first, or their numbers where one has no time."""
    acquired = [visit.acquired for visit in comparison.visits]
    known = [time for time in acquired if time is not None]
    days = [(time - known[0]).total_seconds() / SECONDS_A_DAY for time in known]
    if len(known) < len(acquired) or len(set(days)) < len(days):
        return [float(number + 1) for number in range(len(acquired))], VISIT
    return days, "days since the first visit"


def _draw_course(ax: Axes, times: Sequence[float], changes: Sequence[Change]) -> None:
    side, first = changes[0].structure.side, changes[0].first_ppb
    colour, span = COLOURS[side], times[-1] - times[0]
    at = [time + BESIDE[side] * span for time in times]
    values = [first, *(change.later_ppb for change in changes)]
    ax.plot(at, values, color=colour, linewidth=1, label=side)
    ax.plot(at[0], first, "o", color=colour, markersize=5)
    for time, change in zip(at[1:], changes, strict=True):
        face = colour if change.changed else "white"
        ax.plot(time, change.later_ppb, "o", color=colour, markerfacecolor=face, markersize=5)
    widths = [change.detectable_ppb for change in changes]
    if None not in widths:
        reach = [0.0, *(width or 0.0 for width in widths)]
        low, high = ([first + sign * width for width in reach] for sign in (-1, 1))
        ax.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
