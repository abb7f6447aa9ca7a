"""What the cohort's table is filtered with; hidden until the script that does it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args
from xml.etree.ElementTree import Element

from gadgetron_qsm.cohort.figures import FIGURES, State
from gadgetron_qsm.cohort.table import FIRST_FIGURE
from gadgetron_qsm.report.markup import element


def tools() -> Element:
    """Return the form: text, state, outliers, and limits of one figure."""
    states = [("", "any"), *((state, state) for state in get_args(State))]
    figures = [
        (str(column), figure.heading)
        for column, figure in enumerate(FIGURES.values(), FIRST_FIGURE)
    ]
    return element(
        "form",
        _labelled("text", element("input", type="search", name="text")),
        _labelled("state", _choice("state", states)),
        _labelled("outliers only", element("input", type="checkbox", name="outliers")),
        _labelled("figure", _choice("figure", figures)),
        _labelled("at least", element("input", type="number", step="any", name="least")),
        _labelled("at most", element("input", type="number", step="any", name="most")),
        element("button", "all scans", type="reset"),
        class_="filter",
        hidden="hidden",
        autocomplete="off",
    )


def _labelled(text: str, control: Element) -> Element:
    return element("label", f"{text} ", control)


def _choice(name: str, options: Iterable[tuple[str, str]]) -> Element:
    return element("select", *(element("option", t, value=v) for v, t in options), name=name)
