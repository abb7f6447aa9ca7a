"""The pictures of the page, with what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.report.markup import element, picture

FIELDS = {
    "total_field": "Total field: that of all sources, noise where there is no signal.",
    "local_field": "Local field: that of the sources in the mask alone.",
}
LETTERS = "R, L: right, left; A, P: anterior, posterior; H, F: head, feet."


def shown(
    pictures: Mapping[str, bytes], maps: Mapping[str, Map], reference: Mapping[str, Any]
) -> Iterator[Element]:
    """Give headings, pictures and captions of the maps that are there; `pictures` as `drawn`."""
    captions = {
        "Susceptibility": _of_chi(reference),
        "Magnitude and mask": _of_magnitude(maps),
        "Fields": " ".join(FIELDS[name] for name in FIELDS if name in maps),
    }
    for heading, caption in captions.items():
        if heading in pictures:
            yield element("h2", heading)
            yield picture(pictures[heading], f"{heading} in three planes")
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
