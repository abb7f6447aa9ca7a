"""The pictures of the page, with what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.report.markup import element, picture
from gadgetron_qsm.report.picture import draw, png
from gadgetron_qsm.report.planes import middle

FIELDS = {
    "total_field": "Total field: that of all sources, noise where there is no signal.",
    "local_field": "Local field: that of the sources in the mask alone.",
}
LETTERS = "R, L: right, left; A, P: anterior, posterior; H, F: head, feet."


def shown(maps: Mapping[str, Map], reference: Mapping[str, Any]) -> Iterator[Element]:
    """Give headings, pictures and captions of the maps that are there, all in the same planes."""
    mask, about = maps.get("mask"), next((maps[n] for n in ("chi", "mask") if n in maps), None)
    centre = middle(to_numpy(about.data)) if about else None
    for heading, names, caption in (
        ("Susceptibility", ("chi",), _of_chi(reference)),
        ("Magnitude and mask", ("magnitude",), _of_magnitude(maps)),
        ("Fields", tuple(FIELDS), " ".join(FIELDS[name] for name in FIELDS if name in maps)),
    ):
        there = [maps[name] for name in names if name in maps]
        if there:
            yield element("h2", heading)
            yield picture(png(draw(there, mask, centre)), f"{heading} in three planes")
            yield element("p", caption, class_="note")


def _of_chi(reference: Mapping[str, Any]) -> str:
    chi = MAPS["chi"]
    centre, width = chi.window or (0, 0)
    region = reference.get("region", "a region that was not recorded")
    return (
        f"{chi.meaning} in {chi.unit} relative to {region}, from {centre - width / 2:g} (black) to "
        f"{centre + width / 2:g} {chi.unit} (white); bright is paramagnetic, as iron, dark is "
        f"diamagnetic, as calcium. {LETTERS}"
    )


def _of_magnitude(maps: Mapping[str, Map]) -> str:
    volume = maps.get("magnitude")
    time_s = volume and volume.echo_time_s
    told = f"First echo, TE {1000 * time_s:.4g} ms." if time_s else "Magnitude."
    outline = (
        " The line is the edge of the mask: outside it the map is 0." if "mask" in maps else ""
    )
    return told + outline
