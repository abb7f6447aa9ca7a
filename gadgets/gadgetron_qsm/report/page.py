"""report.html: one page that a radiographer reads, in any browser or on paper, and that runs alone.

It holds no patient data, as provenance.json, and needs neither a network nor a script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from gadgetron_qsm.data import Map
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.report import tables
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.markup import document, element
from gadgetron_qsm.report.measured import measured
from gadgetron_qsm.report.shown import shown
from gadgetron_qsm.report.style import STYLE

TITLE = "Quantitative susceptibility map"
NO_NAMES = "This page holds no patient data: the series tell whose map it is."


def write_page(
    path: Path,
    report: Mapping[str, Any],
    provenance: Mapping[str, Any],
    maps: Mapping[str, Map],
    pictures: Mapping[str, bytes],
    measurements: Sequence[Measured] = (),
) -> None:
    """Write the page; report as report.json, provenance as provenance.json holds them.

    `maps` by their names, of one geometry: those that are there are shown, in `pictures`, the
    answer of pictures.drawn; `measurements` of them.
    Raises QsmError when the file cannot be written.
    """
    text = document(TITLE, STYLE, _body(report, provenance, maps, pictures, measurements))
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _body(
    report: Mapping[str, Any],
    provenance: Mapping[str, Any],
    maps: Mapping[str, Map],
    pictures: Mapping[str, bytes],
    measurements: Sequence[Measured],
) -> Iterator[Element]:
    yield element("h1", TITLE)
    yield element("p", provenance["use"], class_="use")
    yield element("p", _summary(provenance))
    yield element("p", NO_NAMES, class_="note")
    yield _warnings(report["warnings"])
    yield from shown(pictures, maps, provenance["reference"])
    yield from measured(measurements, maps)
    for heading, note, content in tables.of_run(report, provenance):
        yield element("h2", heading)
        if note:
            yield element("p", note, class_="note")
        yield content


def _summary(provenance: Mapping[str, Any]) -> str:
    """Say in a line what was scanned and by what; the checklist says it in full."""
    scanner, scan = provenance["scanner"], provenance["scan"]
    items = {item["text"]: item["value"] for item in provenance["checklist"]["items"]}
    parts = [
        " ".join(filter(None, [scanner["vendor"], scanner["model"]])),
        f"{scanner['field_strength_t']:.4g} T",
        items["Type: 2D or 3D, GRE or EPI"],
        items["Number of echoes, TE1:dTE:TEmax"],
        items["Voxel size"],
        f"measurement {scan['measurement_uid']}" if scan["measurement_uid"] else None,
    ]
    return "; ".join(filter(None, parts)) + "."


def _warnings(warnings: Sequence[str]) -> Element:
    if not warnings:
        return element("p", "No warnings.", class_="fine")
    title = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    listed = element("ul", *(element("li", text) for text in warnings))
    return element("div", element("h2", title), listed, class_="warnings")
