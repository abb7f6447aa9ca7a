"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from gadgetron_qsm.report.analysis import in_words
from gadgetron_qsm.report.markup import Content, element, table

Section = tuple[str, str, Element]  # heading, note, content

LATENCY = "latency: last readout in to last image out"


def of_run(report: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[Section]:
    """Give every table of which there is something to tell."""
    for heading, note, made in (
        ("Series", "", _series(report["series"])),
        ("Accuracy", "Against the truth of the simulated head.", _accuracy(report)),
        ("Times", "", _times(report["timing_s"])),
        ("Later repetitions", "", _later(report.get("later_repetitions", []))),
        ("Quality", "", _quality(report["quality"])),
        ("Methods", "", _methods(provenance["methods"])),
        ("Reporting checklist", CHECKLIST_NOTE, _checklist(provenance["checklist"]["items"])),
        ("Software", "", _pairs(provenance["software"])),
    ):
        if made is not None:
            yield heading, note, made


CHECKLIST_NOTE = (
    "What the QSM consensus, doi:10.1002/mrm.30006, asks a paper to report. What is not in the "
    "header has to be added by hand."
)


def figures(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Give the names, of nested ones one after the other, and values of figures of quality."""
    for name, value in found.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from figures(value, f"{label}: ")
        else:
            yield label, f"{value:,.6g}" if isinstance(value, float) else str(value)


def _series(series: Sequence[Mapping[str, Any]]) -> Element | None:
    rows = [
        (made["description"], made["unit"], str(made["images"]), made["folder"] or "not written")
        for made in series
    ]
    return table(("series", "unit", "images", "folder"), rows) if rows else None


def _accuracy(report: Mapping[str, Any]) -> Element | None:
    accuracy = report.get("accuracy")
    if not accuracy:
        return None
    rows: list[Sequence[Content]] = [
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
    whole = {key: value for key, value in accuracy.items() if key != "nuclei"}
    return element("div", table(headings, rows, class_="numbers"), _pairs(dict(figures(whole))))


def _times(timing_s: Mapping[str, float]) -> Element | None:
    made = table(
        ("stage", "seconds"),
        [(LATENCY if k == "latency" else k, f"{s:.3f}") for k, s in timing_s.items()],
        class_="numbers",
    )
    return made if timing_s else None


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


def _quality(quality: Mapping[str, Any]) -> Element | None:
    return _pairs(dict(figures(quality))) if quality else None


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> Element | None:
    rows = [(stage.replace("_", " "), *in_words(entry)) for stage, entry in methods.items()]
    return table(("stage", "method", "parameters"), rows) if rows else None


def _checklist(items: Sequence[Mapping[str, Any]]) -> Element:
    rows: list[Sequence[Content]] = []
    for item in items:
        level = f"{item['level']}, {item['when']}" if item["when"] else item["level"]
        missing = element("span", "not in the header", class_="missing")
        rows.append((item["section"], item["text"], level, item["value"] or missing))
    return table(("section", "item", "level", "value"), rows)


def _pairs(pairs: Mapping[str, Any]) -> Element:
    return table(("what", "value"), [(name, str(value)) for name, value in pairs.items()])
