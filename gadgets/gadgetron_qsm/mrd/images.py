"""Our maps and combined echoes as MRD images, and back: for consoles, and for our next gadget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import ismrmrd
import numpy as np

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Echoes, Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.messages import IMAGE_HEADER, Image, Record
from gadgetron_qsm.mrd.safe_xml import parse_xml
from gadgetron_qsm.mrd.wire import image_head

MAGNITUDE, PHASE, REAL, IMAGINARY, COMPLEX = range(1, 6)  # image_type of ismrmrd.h
COMMENT = "Not for clinical use"
OWN = "gadgetron_qsm_"  # in front of the meta keys that only we read
G_FACTOR = "g_factor"  # its key there
FLOAT32_MM = 1e-4  # the header has float32: its last digit is 1e-5 mm at 100 mm


def map_to_image(
    volume: Map,
    series_index: int,
    *,
    description: str = "",
    window: tuple[float, float] | None = None,
) -> Image:
    """One map as a float32 image in its own unit, with the meta that consoles read.

    The report's provenance of the scan gives the measurement's number and time stamp.
    `window` is (centre, width) in the map's unit; consoles take whole numbers, others are left out.
    Meta: Siemens' keys (ismrmrd's mrd_image_data.md) and Gadgetron's (mri_core_def.h).
    """
    data = to_numpy(volume.data).astype(np.float32, copy=False)[np.newaxis]
    own = {"map": volume.name, "unit": volume.unit, "echo_time_s": volume.echo_time_s}
    values = _console_meta(description or volume.name, volume.echo_time_s, window)
    values |= _own_meta(volume.geometry, volume.report, own | {"echo": volume.echo})
    image_type = MAGNITUDE if volume.name == "magnitude" else REAL
    head = _head(volume, image_type, series_index, volume.echo or 0)
    return _image(head, data, values)


def image_to_map(image: Image) -> Map:
    """The map that `map_to_image` made an image of; QsmError for any other image."""
    own = own_meta(image)
    if "map" not in own:
        raise QsmError("an image came that is no map of gadgetron-qsm; 'deliver' takes only those")
    return Map(
        name=own["map"],
        data=image.data[0].astype(np.float32, copy=False),
        unit=own["unit"],
        geometry=exact_geometry(image, _geometry(image)),
        echo=own["echo"],
        echo_time_s=own["echo_time_s"],
        report=own["report"],
        repetition=int(image.head["repetition"]),
    )


def echoes_to_images(echoes: Echoes) -> list[Image]:
    """The combined images, one complex64 image an echo, with the report so far.

    The g-factor comes in front of them, as it is, when there is one.
    """
    values = _own_meta(echoes.geometry, echoes.report, {})
    images = [
        _image(_head(echoes, COMPLEX, 1, echo), volume, values)
        for echo, volume in enumerate(to_numpy(echoes.data)[:, np.newaxis])
    ]
    if echoes.g_factor is None:
        return images
    g_factor = to_numpy(echoes.g_factor).astype(np.float32, copy=False)[np.newaxis]
    values = _own_meta(echoes.geometry, {}, {G_FACTOR: True})
    return [_image(_head(echoes, REAL, 2, 0), g_factor, values), *images]


def own_meta(image: Image) -> dict[str, Any]:
    """Return the values of our own meta keys, without their prefix; none for others' images."""
    if OWN not in image.meta:
        return {}
    entries = parse_xml(image.meta, "the meta of an image").iter("meta")
    texts = {entry.findtext("name") or "": entry.findtext("value") or "" for entry in entries}
    try:
        return {k.removeprefix(OWN): json.loads(v) for k, v in texts.items() if k.startswith(OWN)}
    except json.JSONDecodeError as error:
        raise QsmError(f"the meta of an image was changed on the way: {error}") from error


def exact_geometry(image: Image, geometry: Geometry) -> Geometry:
    """Return `geometry`, read from an image's header, to all digits when our meta has them.

    A header changed on the way, by a gadget that crops or turns, wins.
    """
    values = own_meta(image).get("geometry")
    if not values:
        return geometry
    exact = Geometry(**{name: tuple(value) for name, value in values.items()})
    pairs = zip(asdict(exact).values(), asdict(geometry).values(), strict=True)
    agree = all(np.allclose(ours, theirs, atol=FLOAT32_MM) for ours, theirs in pairs)
    return exact if agree else geometry


def _image(head: Record, data: np.ndarray, values: dict[str, Any]) -> Image:
    meta = ismrmrd.Meta(values).serialize()
    return Image(image_head(Image(head, data, meta)), data, meta)


def _geometry(image: Image) -> Geometry:
    head, matrix = image.head, image.data.shape[1:]
    z, y, x = (float(size / n) for size, n in zip(head["field_of_view"][::-1], matrix, strict=True))
    vectors = ("position", "read_dir", "phase_dir", "slice_dir")
    return Geometry(matrix, (z, y, x), *(tuple(head[name].tolist()) for name in vectors))


def _head(volume: Map | Echoes, image_type: int, series_index: int, echo: int) -> Record:
    head, geometry = np.zeros((), IMAGE_HEADER), volume.geometry
    scan = volume.report.get("provenance", {}).get("scan", {})  # see header.fingerprint
    head["measurement_uid"] = scan.get("measurement_uid", 0)
    head["acquisition_time_stamp"] = scan.get("first_time_stamp", 0)
    head["version"] = 1
    head["field_of_view"] = np.multiply(geometry.voxel_size, geometry.matrix)[::-1]
    for name in ("position", "read_dir", "phase_dir", "slice_dir"):
        head[name] = getattr(geometry, name)
    head["image_type"], head["image_series_index"] = image_type, series_index
    head["image_index"], head["contrast"], head["repetition"] = echo + 1, echo, volume.repetition
    return head[()]


def _own_meta(
    geometry: Geometry, report: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, str]:
    values = {**values, "geometry": asdict(geometry), "report": report}
    return {OWN + name: json.dumps(value, default=_plain) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """What JSON has no word for: numpy's numbers and arrays, mappings that are no dict."""
    return dict(value) if isinstance(value, Mapping) else np.asarray(value).tolist()


def _console_meta(
    description: str, echo_time_s: float | None, window: tuple[float, float] | None
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "DataRole": ["Image", "Quantitative"],  # no rescaling of pixels on the way
        "ImageComments": COMMENT,
        "ImageComment": COMMENT,
        "SeriesDescription": description,
        "SequenceDescriptionAdditional": description,
        "ImageProcessingHistory": ["PYTHON", "QSM"],
        "Keep_image_geometry": "1",
        "GADGETRON_DataRole": ["Image", "Quantitative"],
        "GADGETRON_ImageComment": COMMENT,
        "GADGETRON_SeqDescription": description,
        "GADGETRON_ImageProcessingHistory": ["PYTHON", "QSM"],
        "GADGETRON_ImageNumber": "1",
    }
    if echo_time_s is not None:
        meta["EchoTime"] = meta["GADGETRON_TE"] = f"{echo_time_s * 1000:g}"  # ms
    if window and all(float(value).is_integer() for value in window):
        centre, width = (str(int(value)) for value in window)
        meta["WindowCenter"] = meta["GADGETRON_WindowCenter"] = centre
        meta["WindowWidth"] = meta["GADGETRON_WindowWidth"] = width
    return meta
