"""What was measured, on the page: regions on the maps; tables of them, of lesions, of sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measurement.about import USE
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.report.markup import element, picture, table
from gadgetron_qsm.report.picture import Outline, draw, png

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45", "#ffe119")
OF_CHI = (
    "Means with the standard error that noise alone gives them, in the part of a region that lies "
    "in the map. Corrected: as if no voxel was in part something else."
)
OF_SIDES = (
    "Left less right, and that over the mean of both (asymmetry index), with standard errors."
)
OF_SOURCES = (
    "Candidates: what is called a haemorrhage or a calcification is a source of that sign. Total "
    "susceptibility is what the field outside shows; volumes are without the bloom as far as known."
)
DASH = "–"

Row = Mapping[str, Any]


def measured(found: Sequence[Measured], maps: Mapping[str, Map]) -> Iterator[Element]:
    """Give what was measured in each repetition; pictures of the first one's `maps`."""
    for made in found:
        number = f", repetition {made.repetition + 1}" if len(found) > 1 else ""
        content = made.content
        if failures := content.get("failures"):
            yield element("h2", f"Not measured{number}")
            yield element("ul", *(element("li", text) for text in failures))
        of_chi = [row for row in content.get("regions", []) if row["map"] == "chi"]
        if of_chi:
            yield element("h2", f"Regions{number}")
            if made.labels and made is found[0]:
                yield from _outlined(made.labels, maps)
            yield element("p", f"{USE} {_registration(content)}{OF_CHI}", class_="note")
            yield _regions(of_chi, content)
        for heading, note, key, make in (
            ("Sides", OF_SIDES, "asymmetries", _sides),
            ("Contrast against the surroundings", "", "contrast", _contrast),
            ("Lesions", "Rim less core is above 0 where the rim has iron.", "lesions", _lesions),
        ):
            if content.get(key):
                yield element("h2", f"{heading}{number}")
                yield element("p", f"{USE} {note}", class_="note")
                yield make(content[key])
        if "sources" in content:
            yield element("h2", f"Strong sources{number}")
            yield element("p", f"{USE} {OF_SOURCES}", class_="note")
            yield from _sources(content["sources"])
        if "anatomical" in content:
            yield element("h2", f"On the anatomical grid{number}")
            yield element("p", f"{USE} {content['anatomical']['told']}.", class_="note")


def _outlined(labels: LabelMap, maps: Mapping[str, Map]) -> Iterator[Element]:
    """Give the regions' outlines on magnitude and chi, in planes through their middle."""
    there = [maps[name] for name in ("magnitude", "chi") if name in maps]
    inside = np.argwhere(np.isin(labels.values, [s.value for s in labels.structures]))
    if not there or not len(inside):
        return
    names = list(dict.fromkeys(structure.name for structure in labels.structures))
    colour_of = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    outlines: list[Outline] = [(labels.mask(s), colour_of[s.name]) for s in labels.structures]
    centre = [int(at) for at in np.median(inside, axis=0)]
    yield picture(png(draw(there, None, centre, outlines)), "Regions in three planes")


def _registration(content: Row) -> str:
    quality = content.get("registration")
    if not quality:
        return ""
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in quality.items())
    return f"Placed by registration of an atlas: {told}. "


def _regions(of_chi: Sequence[Row], content: Row) -> Element:
    rates = {_where(row): row for row in content["regions"] if row["map"] == "r2star"}
    scores = {_where(row): row["z"] for row in content.get("z_scores", []) if row["map"] == "chi"}
    rows = []
    for row in of_chi:
        rate, score = rates.get(_where(row)), scores.get(_where(row))
        rows.append(
            (
                _label(row),
                _with_error(row["mean"], row["standard_error"]),
                DASH if row["corrected_mean"] is None else f"{row['corrected_mean']:.1f}",
                f"{row['sd']:.1f}",
                f"{row['median']:.1f} ({row['p05']:.0f} to {row['p95']:.0f})",
                _with_error(rate["mean"], None) if rate else DASH,
                f"{row['volume_mm3'] / 1000:.2f}",
                f"{100 * row['fraction_inside']:.0f} %",
                DASH if score is None else f"{score:+.1f}",
            )
        )
    headings = (
        *("region", "chi, ppb", "corrected", "SD", "median (5 to 95 %)"),
        *("R2*, 1/s", "volume, ml", "inside map", "z"),
    )
    return table(headings, rows, class_="numbers")


def _sides(found: Sequence[Row]) -> Element:
    rows = [
        (
            f"{row['region']}, {row['map']}, {row['unit']}",
            f"{row['left']:.1f}",
            f"{row['right']:.1f}",
            _with_error(row["left_minus_right"], row["standard_error"]),
            DASH if row["index_percent"] is None else f"{row['index_percent']:+.1f} %",
            _signed(row["ipsilateral_minus_contralateral"]),
        )
        for row in found
    ]
    headings = ("region", "left", "right", "left - right", "index", "ipsi- - contralateral")
    return table(headings, rows, class_="numbers")


def _contrast(found: Sequence[Row]) -> Element:
    rows = [
        (
            row["structure"],
            f"{row['inside']['mean']:.1f}",
            f"{row['around']['mean']:.1f}",
            _with_error(row["contrast_ppb"], row["standard_error"]),
            f"{row['cnr_around']:.1f}",
            _signed(row["cnr_noise"]),
        )
        for row in found
    ]
    headings = ("structure", "in it, ppb", "around", "contrast", "over SD around", "over noise")
    return table(headings, rows, class_="numbers")


def _lesions(found: Sequence[Row]) -> Element:
    rows = []
    for row in found:
        rim = row["rim"]
        rows.append(
            (
                f"{row['label']} {row['number']}",
                f"{row['chi']['mean']:.1f}",
                f"{row['chi']['volume_mm3'] / 1000:.2f}",
                _with_error(rim["difference_ppb"], rim["error_ppb"]) if rim else "too small",
            )
        )
    return table(("lesion", "chi, ppb", "volume, ml", "rim - core"), rows, class_="numbers")


def _sources(section: Row) -> Iterator[Element]:
    counts = ("microbleed_candidates", "haematoma_candidates", "calcification_candidates")
    told = ", ".join(f"{section[name]} {name.replace('_', ' ')}" for name in counts)
    yield element("p", f"{told}.")
    if not section["found"]:
        return
    rows = [
        (
            row["kind"],
            f"{row['peak_ppb']:+.0f}",
            _signed(row["total_ppm_mm3"]),
            DASH if row["volume_mm3"] is None else f"{row['volume_mm3']:.0f}",
            f"{row['diameter_mm']:.1f}",
            DASH if row["r2star"] is None else f"{row['r2star']:.0f}",
            ", ".join(f"{at:.0f}" for at in row["centre_mm"]),
            row["label"] or "",
        )
        for row in section["found"]
    ]
    headings = (
        *("candidate", "peak, ppb", "total, ppm mm³", "volume, mm³", "looks, mm"),
        *("R2*, 1/s", "at (LPS, mm)", "in"),
    )
    yield table(headings, rows, class_="numbers")


def _where(row: Row) -> tuple[str, str | None]:
    return row["region"], row["side"]


def _label(row: Row) -> str:
    return " ".join(part for part in (row["side"], row["region"]) if part)


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.1f}" if error is None else f"{value:.1f} ± {error:.1f}"


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{value:+.1f}"
