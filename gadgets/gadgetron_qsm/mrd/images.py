"""Our maps and combined echoes as MRD images, and back: for consoles, and for our next gadget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Echoes, Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd import meta
from gadgetron_qsm.mrd.messages import IMAGE_HEADER, Image, Record
from gadgetron_qsm.mrd.own import read_own
from gadgetron_qsm.mrd.wire import image_head

MAGNITUDE, PHASE, REAL, IMAGINARY, COMPLEX = range(1, 6)  # image_type of ismrmrd.h
OWN = "gadgetron_qsm_"  # in front of the meta keys that only we read
G_FACTOR = "g_factor"  # its key there
SLICES = "slices"  # of the volume that a slice is one of, there
FLOAT32_MM = 1e-4  # the header has float32: its last digit is 1e-5 mm at 100 mm


class Stored(Protocol):
    """A map as pixels of its own kind: value = slope * count + intercept, in the map's unit."""

    @property
    def counts(self) -> NDArray[Any]:
        """Array (z, y, x) of 16-bit integers, or of float32 that are the values."""

    @property
    def slope(self) -> float:
        """Of the map's unit, a count."""

    @property
    def intercept(self) -> float:
        """Value of count 0, in the map's unit."""

    @property
    def lowest(self) -> float:
        """Smallest count that is a value."""


def map_to_image(
    volume: Map,
    series_index: int,
    *,
    description: str = "",
    comment: str = meta.COMMENT,
    image_type: str = "",
    window: meta.Window | None = None,
    stored: Stored | None = None,
) -> Image:
    """One map as an image, a volume, with the meta that consoles read.

    Pixels are float32 in the map's unit, or those that it is `stored` as. `window` is (centre,
    width) in the map's unit; `image_type` is value 4 of ImageType. The report's provenance of the
    scan gives the measurement's number, time stamp and table position.
    """
    own = {"map": volume.name, "unit": volume.unit, "echo_time_s": volume.echo_time_s}
    values = {
        **meta.described(description or volume.name, comment, image_type),
        **meta.placed(volume.geometry),
        **meta.timed(volume.echo_time_s),
        **meta.windowed(window),
        **_rescaled(stored),
        **_own_meta(volume.geometry, volume.report, own | {"echo": volume.echo}),
    }
    data = (stored.counts if stored else to_numpy(volume.data).astype(np.float32, copy=False))[None]
    head = _head(volume, _image_type(volume, data), series_index, volume.echo or 0)
    values[meta.IMAGE_NUMBER] = int(head["image_index"])
    return _image(head, data, values)


def image_to_map(image: Image) -> Map:
    """The map that `map_to_image` made an image of, in its unit whatever the pixels.

    Raises QsmError for any other image, and for one slice of several: see `slices.images_to_maps`.
    """
    own = own_meta(image)
    if "map" not in own:
        raise QsmError("an image came that is no map of gadgetron-qsm; 'deliver' takes only those")
    if own.get(SLICES, len(image.data[0])) != len(image.data[0]):
        raise QsmError(f"a slice of map '{own['map']}' came where the whole map must be")
    slope, intercept = meta.scale(image.meta)
    data = image.data[0]
    if (slope, intercept) != (1, 0):
        data = data * slope + intercept
    return Map(
        name=own["map"],
        data=data.astype(np.float32, copy=False),
        unit=own["unit"],
        geometry=exact_geometry(image, geometry_of(image)),
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
    """Return the values of our own meta keys, without their prefix; none for others' images.

    Raises QsmError for values that are not as we write them.
    """
    if OWN not in image.meta:
        return {}
    texts = {k.removeprefix(OWN): v for k, v in meta.texts(image.meta).items() if k.startswith(OWN)}
    try:
        own = {name: json.loads(text) for name, text in texts.items()}
    except (ValueError, RecursionError) as error:
        raise QsmError(f"the meta of an image was changed on the way: {error}") from error
    return read_own(own)


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


def geometry_of(image: Image) -> Geometry:
    """Where an image lies, as its header says: voxel n//2 of each axis at its position."""
    head, matrix = image.head, image.data.shape[1:]
    z, y, x = (float(size / n) for size, n in zip(head["field_of_view"][::-1], matrix, strict=True))
    vectors = ("position", "read_dir", "phase_dir", "slice_dir")
    return Geometry(matrix, (z, y, x), *(tuple(head[name].tolist()) for name in vectors))


def _image(head: Record, data: np.ndarray, values: dict[str, Any]) -> Image:
    text = ismrmrd.Meta(values).serialize()
    return Image(image_head(Image(head, data, text)), data, text)


def _image_type(volume: Map, data: np.ndarray) -> int:
    """Unsigned pixels go as a magnitude: that is what injectors of scanners take them for."""
    return MAGNITUDE if volume.name == "magnitude" or data.dtype.kind == "u" else REAL


def _rescaled(stored: Stored | None) -> dict[str, str]:
    """Unsigned counts that start at 1 leave 0 to the scanner, for what lies outside an image."""
    if stored is None or stored.counts.dtype.kind == "f":
        return {}
    return meta.rescaled(stored.slope, stored.intercept, 0 if stored.lowest == 1 else None)


def _head(volume: Map | Echoes, image_type: int, series_index: int, echo: int) -> Record:
    head, geometry = np.zeros((), IMAGE_HEADER), volume.geometry
    scan = volume.report.get("provenance", {}).get("scan", {})  # see header.fingerprint
    head["measurement_uid"] = scan.get("measurement_uid", 0)
    head["acquisition_time_stamp"] = scan.get("first_time_stamp", 0)
    head["patient_table_position"] = scan.get("table_position_mm", 0)
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
