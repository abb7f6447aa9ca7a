"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element

from gadgetron_qsm.report.accuracy import summary
from gadgetron_qsm.report.analysis import in_words
from gadgetron_qsm.report.markup import Content, element, table

Section = tuple[str, str, Element]  # heading, note, content

LATENCY = "latency: last readout in to last image out"
UNITS = {"rad": "rad", "ppb": "ppb", "ml": "ml", "bytes": "bytes", "mm": "mm", "percent": "%"}
TO_ADD = "What the header does not tell has to be added by hand."


def of_run(report: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[Section]:
    """Give every table of which there is something to tell."""
    checklist = provenance["checklist"]
    accuracy = report.get("accuracy")
    for heading, note, made in (
        ("Series", "", _series(report["series"])),
        ("Accuracy", accuracy and _agreement(accuracy), _nuclei(accuracy or {})),
        ("Times", "", _times(report["timing_s"])),
        ("Later repetitions", "", _later(report.get("later_repetitions", []))),
        ("Quality", "", _pairs(figures(report["quality"]))),
        ("Methods", "", _methods(provenance["methods"])),
        (
            "Reporting checklist",
            f"What the QSM consensus, {checklist['source']}, asks to report. {TO_ADD}",
            _checklist(checklist["items"]),
        ),
        ("Software", "", _pairs(provenance["software"].items())),
    ):
        if made is not None:
            yield heading, note or "", made


def figures(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Give names with units and values of figures of quality, of nested ones one after another."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from figures(value, f"{before}{name.replace('_', ' ')}: ")
            continue
        words = name.split("_")
        unit = f", {UNITS[words.pop()]}" if words[-1] in UNITS else ""
        told = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"{before}{' '.join(words)}{unit}", told


def _series(series: Sequence[Mapping[str, Any]]) -> Element | None:
    rows = [
        (
            made["description"],
            made["unit"] or "none",
            str(made["images"]),
            made["folder"] or "not written here",
        )
        for made in series
    ]
    return table(("series", "unit", "images", "folder"), rows) if rows else None


def _agreement(accuracy: Mapping[str, Any]) -> str:
    of = f", of repetition {accuracy['repetition']}" if "repetition" in accuracy else ""
    return f"Against the truth of the simulated head{of}: {summary(accuracy)}."


def _nuclei(accuracy: Mapping[str, Any]) -> Element | None:
    if not accuracy:
        return None
    rows = [
        (
            row["name"],
            f"{row['measured_ppb']:.1f}",
            f"{row['true_ppb']:.1f}",
            f"{row['difference_ppb']:+.1f}",
            str(row["voxels"]),
            f"{100 * row['fraction_inside']:.0f} %",
        )
        for row in accuracy["nuclei"]
    ]
    headings = ("nucleus", "measured, ppb", "true, ppb", "difference", "voxels", "inside mask")
    return table(headings, rows, class_="numbers")


def _times(timing_s: Mapping[str, float]) -> Element | None:
    rows = [
        (LATENCY if stage == "latency" else stage.replace("_", " "), f"{seconds:.3f}")
        for stage, seconds in timing_s.items()
    ]
    return table(("stage", "seconds"), rows, class_="numbers") if rows else None


def _later(later: Sequence[Mapping[str, Any]]) -> Element | None:
    rows = [
        (
            str(made["repetition"]),
            ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in made["timing_s"].items()),
            "; ".join(made["warnings"]) or "none",
        )
        for made in later
    ]
    return table(("repetition", "seconds", "warnings"), rows) if rows else None


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> Element | None:
    rows = [(stage.replace("_", " "), *in_words(entry)) for stage, entry in methods.items()]
    return table(("stage", "method", "parameters"), rows) if rows else None


def _checklist(items: Sequence[Mapping[str, Any]]) -> Element:
    parts: list[Content] = []
    for section, found in groupby(items, key=lambda item: item["section"]):
        parts.append(element("h3", section.capitalize()))
        parts.append(table(("item", "level", "value"), [_item(item) for item in found]))
    return element("div", *parts, class_="checklist")


def _item(item: Mapping[str, Any]) -> Sequence[Content]:
    level = f"{item['level']}, {item['when']}" if item["when"] else item["level"]
    missing = element("span", "not in the header", class_="missing")
    return item["text"], level, item["value"] or missing


def _pairs(pairs: Iterable[tuple[str, str]]) -> Element | None:
    rows = [(name, str(value)) for name, value in pairs]
    return table((), rows) if rows else None
