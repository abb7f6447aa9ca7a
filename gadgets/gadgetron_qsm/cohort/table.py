"""The cohort's table: a row for each scan, the median and the range of each figure below."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from gadgetron_qsm.cohort.figures import FIGURES, Figure, Row
from gadgetron_qsm.report.markup import Content, element, picture

FIRST_FIGURE = 3  # column, after thumbnail, scan and state
CAPTION = "Scans, figures of quality, and what is unlike the rest of the cohort"
MISSING = "–"


def scan_table(
    rows: Sequence[Row], unlike: Sequence[Mapping[str, float]], links: Sequence[str | None]
) -> Element:
    """Return the table; `unlike` as outliers.outliers has it, `links` are those of the reports."""
    scans = (_scan(*scan) for scan in zip(rows, unlike, links, strict=True))
    return element(
        "table",
        element("caption", CAPTION, class_="note"),
        element("thead", element("tr", *_headings())),
        element("tbody", *scans),
        element(
            "tfoot",
            _summary("median", rows, _median),
            _summary("range", rows, _range),
        ),
        class_="scans",
    )


def told(value: float, figure: Figure) -> str:
    """A value with the digits that mean something."""
    return f"{value:.{figure.digits}f}"


def _headings() -> Iterator[Element]:
    yield element("th", "chi", scope="col")
    for heading in ("scan", "state"):
        yield element("th", heading, scope="col", data_sorts=heading)
    for figure in FIGURES.values():
        heading = f"{figure.heading}, {figure.unit}" if figure.unit else figure.heading
        yield element("th", heading, scope="col", class_="number", data_sorts=heading)


def _scan(row: Row, unlike: Mapping[str, float], link: str | None) -> Element:
    name = element("a", row.name, href=link) if link else row.name
    marks = {"data-outlier": ""} if unlike else {}
    made = element(
        "tr",
        element("td", *_thumbnail(row)),
        element("th", name, scope="row", data_text=row.name),
        _state(row),
        *(_figure(row, key, unlike.get(key)) for key in FIGURES),
        data_state=row.state,
    )
    made.attrib.update(marks)
    return made


def _thumbnail(row: Row) -> Iterator[Content]:
    if row.thumbnail:
        made = picture(row.thumbnail, f"susceptibility of {row.name}")
        made.attrib.update(loading="lazy", decoding="async")
        yield made
    else:
        yield MISSING


def _state(row: Row) -> Element:
    reason = [element("span", row.reason, class_="reason")] if row.reason else []
    kind = {"class_": "failed"} if row.state == "failed" else {}
    return element("td", row.state, *reason, data_text=row.state, **kind)


def _figure(row: Row, key: str, z: float | None) -> Element:
    """A cell with a figure; an outlier is marked with a word."""
    if key not in row.figures:
        return element("td", MISSING, class_="number")
    value, content = row.figures[key], [_value(row, key)]
    if z is not None:
        content.append(element("span", "▲ high" if z > 0 else "▼ low", class_="mark"))
    kind = "number" if z is None else "number outlier"
    return element("td", *content, class_=kind, data_value=repr(value))


def _value(row: Row, key: str) -> Content:
    text = told(row.figures[key], FIGURES[key])
    if key != "warnings" or not row.warnings:
        return text
    listed = element("ul", *(element("li", warning) for warning in row.warnings))
    return element("details", element("summary", text), listed)


def _summary(
    name: str, rows: Sequence[Row], summed: Callable[[Sequence[float], Figure], str]
) -> Element:
    cells = []
    for key, figure in FIGURES.items():
        values = [row.figures[key] for row in rows if key in row.figures]
        cells.append(element("td", summed(values, figure) if values else MISSING, class_="number"))
    return element("tr", element("th", name, scope="row", colspan=str(FIRST_FIGURE)), *cells)


def _median(values: Sequence[float], figure: Figure) -> str:
    return told(statistics.median(values), figure)


def _range(values: Sequence[float], figure: Figure) -> str:
    return f"{told(min(values), figure)} to {told(max(values), figure)}"
