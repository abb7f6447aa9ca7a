"""The meta attributes of MRD images: what consoles read, and what only we do.

Siemens' keys are those of ismrmrd's mrd_image_data.md and of its deployed adapters, Gadgetron's
those of mri_core_def.h; both families say the same. Windows are in rescaled values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.safe_xml import parse_xml

COMMENT = "Not for clinical use"
IMAGE_NUMBER = "GADGETRON_ImageNumber"  # its writers of files want it
SLOPE, INTERCEPT = "RescaleSlope", "RescaleIntercept"

Window = tuple[float, float]  # centre, width


def described(description: str, comment: str, image_type: str = "") -> dict[str, Any]:
    """What the image is: role, series, comment, and `image_type`, value 4 of ImageType.

    Quantitative: pixels are not rescaled on the way. A console names the series by the first of
    the descriptions, an older one by its protocol with the second behind it.
    """
    role, history = ["Image", "Quantitative"], ["PYTHON", "QSM"]
    meta: dict[str, Any] = {
        "DataRole": role,
        "ImageComments": comment,
        "ImageComment": comment,
        "SeriesDescription": description,
        "SequenceDescriptionAdditional": description,
        "ImageProcessingHistory": history,
        "GADGETRON_DataRole": role,
        "GADGETRON_ImageComment": comment,
        "GADGETRON_SeqDescription": description,
        "GADGETRON_ImageProcessingHistory": history,
    }
    return meta | {"ImageType": image_type} if image_type else meta


def placed(geometry: Geometry) -> dict[str, Any]:
    """How the image lies: as its header says, which no console is to turn.

    The third direction has a name in ismrmrd's document and another in deployed adapters.
    """
    directions = {
        "ImageRowDir": geometry.read_dir,
        "ImageColumnDir": geometry.phase_dir,
        "ImageSliceDir": geometry.slice_dir,
        "ImageSliceNormDir": geometry.slice_dir,
    }
    texts = {name: [f"{c:.18f}" for c in cosines] for name, cosines in directions.items()}
    return {"Keep_image_geometry": "1", **texts}


def timed(echo_time_s: float | None) -> dict[str, str]:
    """Echo time in ms, of the images that have one."""
    if echo_time_s is None:
        return {}
    text = f"{echo_time_s * 1000:g}"
    return {"EchoTime": text, "GADGETRON_TE": text}


def windowed(window: Window | None) -> dict[str, str]:
    """Centre and width as whole numbers, since consoles read whole numbers, halves rounded up.

    A window narrower than 1 is left out: of it nothing would be right.
    """
    if window is None or window[1] < 1:
        return {}
    centre, width = (str(math.floor(value + 0.5)) for value in window)
    return {
        "WindowCenter": centre,
        "WindowWidth": width,
        "GADGETRON_WindowCenter": centre,
        "GADGETRON_WindowWidth": width,
    }


def rescaled(slope: float, intercept: float, padding: int | None = None) -> dict[str, str]:
    """What whole numbers mean: value = slope * pixel + intercept, in the map's unit.

    US, unspecified, is the only type that every MR object may have (PS3.3 table C.7.6.16-10); the
    comment has the unit. `padding` is the pixel that is no value.
    """
    meta = {SLOPE: repr(slope), INTERCEPT: repr(intercept), "RescaleType": "US"}
    return meta if padding is None else meta | {"PixelPaddingValue": str(padding)}


def texts(meta: str) -> dict[str, str]:
    """Return the first value of each attribute; raise QsmError when it is no XML."""
    entries = _root(meta).iter("meta")
    return {entry.findtext("name") or "": entry.findtext("value") or "" for entry in entries}


def scale(meta: str) -> tuple[float, float]:
    """Slope and intercept of the pixels, 1 and 0 unless the meta says otherwise."""
    found = texts(meta)
    try:
        slope, intercept = float(found.get(SLOPE, 1)), float(found.get(INTERCEPT, 0))
    except ValueError as error:
        raise QsmError(f"the meta of an image has no numbers to rescale by: {error}") from error
    if not (slope and math.isfinite(slope) and math.isfinite(intercept)):
        raise QsmError(f"the meta of an image rescales by {slope} and {intercept}")
    return slope, intercept


def changed(meta: str, values: Mapping[str, str]) -> str:
    """Return the meta with other values of some attributes, the rest as it was."""
    root = _root(meta)
    entries = {entry.findtext("name"): entry for entry in root.iter("meta")}
    for name, value in values.items():
        entry = entries.get(name)
        if entry is None:
            entry = ET.SubElement(root, "meta")
            ET.SubElement(entry, "name").text = name
        for old in entry.findall("value"):
            entry.remove(old)
        ET.SubElement(entry, "value").text = value
    return ET.tostring(root, "UTF-8", xml_declaration=True).decode()


def _root(meta: str) -> ET.Element:
    return parse_xml(meta or "<ismrmrdMeta/>", "the meta of an image")
