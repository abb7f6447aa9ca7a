"""Images of others as complex echo images: complex, magnitude and phase, or real and imaginary."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import ORTHONORMAL_TOLERANCE, Geometry
from gadgetron_qsm.mrd.axes import ACQUIRED, axes_of
from gadgetron_qsm.mrd.header import Header, fingerprint
from gadgetron_qsm.mrd.images import (
    G_FACTOR,
    IMAGINARY,
    MAGNITUDE,
    PHASE,
    REAL,
    exact_geometry,
    own_meta,
)
from gadgetron_qsm.mrd.messages import Image, ImageArray
from gadgetron_qsm.mrd.phase import phase_to_radians
from gadgetron_qsm.mrd.stacks import Stack, stack

_NAMES = {MAGNITUDE: "magnitude", PHASE: "phase", REAL: "real", IMAGINARY: "imaginary"}
_WAYS = [("complex",), ("magnitude", "phase"), ("real", "imaginary")]
SAME_PLACE_MM = 0.01
_THINNEST = 0.1  # of the voxel in plane: a thinner partition is the spacing taken for the slab


def repetitions_of_images(images: Iterable[Image], header: Header) -> Iterator[CoilImages]:
    """Complex echo images of each repetition of one scan, in the order of their counter.

    The images may come in any order, so that the last has come before the first repetition is
    given. All have the scan's fingerprint, that of the first. Raises QsmError that names the
    repetition too where there are several; otherwise as `images_to_coil_images`.
    """
    groups = defaultdict(list)
    for image in images:
        groups[int(image.head["repetition"])].append(image)
    scan: dict[str, Any] | None = None
    for repetition in sorted(groups):
        try:
            volume = images_to_coil_images(groups[repetition], header, scan)
        except QsmError as error:
            where = f"repetition {repetition + 1}: " if len(groups) > 1 else ""
            raise QsmError(f"{where}{error}") from error
        scan = scan or volume.report.get("provenance", {}).get("scan")
        yield replace(volume, repetition=repetition)


def images_to_coil_images(
    images: Sequence[Image], header: Header, scan: dict[str, Any] | None = None
) -> CoilImages:
    """Complex echo images from the images of one repetition, volumes or slices, in any order.

    Complex pixels count as complex whatever their image type; else magnitude with phase, else real
    with imaginary images are put together. The echo is the contrast index, or, when that is 0
    throughout, the order in which images of one place came. Phase is scaled as `phase_to_radians`
    says. `scan` is the fingerprint of the scan, by default that of the first image. The report and
    g-factor of our own images come with them. Raises QsmError that names what is missing, twice
    there or does not fit.
    """
    g_factor = next((image.data[0] for image in images if _is_g_factor(image)), None)
    images = [image for image in images if not _is_g_factor(image)]
    _require_alike(images)
    parts = defaultdict(list)
    for image in images:
        parts[_part(image)].append(image)
    way = next((way for way in _WAYS if set(way) <= set(parts)), None)
    if way is None:
        raise QsmError(
            f"only {' and '.join(sorted(parts))} images came, which have no phase together; send "
            "complex images, magnitude and phase, or real and imaginary"
        )
    stacks = {part: _echoes(parts[part], part, header) for part in way}
    _require_one_place([echo.image for part in way for echo in stacks[part]])
    data = _complex(way, {part: [echo.data for echo in stacks[part]] for part in way})
    first = stacks[way[0]][0]
    report = own_meta(first.image).get("report") or {
        "provenance": {"scan": scan or fingerprint(first.image.head, "images", first.image.data)}
    }
    return CoilImages(data, _geometry(first, header), report, g_factor=g_factor)


def images_of_array(array: ImageArray) -> list[Image]:
    """The images of an array of Gadgetron's chain, which has the echoes along N."""
    sets = array.data.shape[4:]
    if array.headers.shape != sets:
        raise QsmError("the image array has not as many headers as images")
    metas = array.meta if len(array.meta) == array.headers.size else [""] * array.headers.size
    places = product(*(range(size) for size in reversed(sets)))  # N varies fastest in `meta`
    return [
        Image(array.headers[n, s, loc], array.data[..., n, s, loc].T, meta)
        for (loc, s, n), meta in zip(places, metas, strict=True)
    ]


def _is_g_factor(image: Image) -> bool:
    return G_FACTOR in own_meta(image)


def _require_alike(images: Sequence[Image]) -> None:
    if not images:
        raise QsmError("no images came")
    shapes = {image.data.shape for image in images}
    if len(shapes) > 1:
        raise QsmError(f"images of different sizes came: {sorted(shapes)} (channel, z, y, x)")
    axes = np.array([axes_of(image) for image in images])
    if np.ptp(axes, axis=0).max() > ORTHONORMAL_TOLERANCE:
        raise QsmError("the images are not parallel; send one orientation at a time")


def _require_one_place(images: list[Image]) -> None:
    if np.ptp([image.head["position"] for image in images], axis=0).max() > SAME_PLACE_MM:
        raise QsmError("the echoes do not lie in the same place; send one volume at a time")


def _part(image: Image) -> str:
    if image.data.dtype.kind == "c":  # Gadgetron leaves image_type at magnitude for complex images
        return "complex"
    image_type = int(image.head["image_type"])
    if image_type not in _NAMES:
        raise QsmError(
            f"images of type {image_type} with {image.data.dtype} pixels have no use here"
        )
    return _NAMES[image_type]


def _echoes(images: list[Image], part: str, header: Header) -> list[Stack]:
    """Sort the images of one part into one stack an echo."""
    expected = len(header.echo_times_s)
    echoes = defaultdict(list)
    for echo, image in zip(_echo_numbers(images), images, strict=True):
        echoes[echo].append(image)
    if set(echoes) != set(range(expected)):
        raise QsmError(
            f"the MRD header names {expected} echo times, but the {part} images are of echoes "
            f"{', '.join(str(echo + 1) for echo in sorted(echoes))}"
        )
    slices = _slices_of(header)
    return [
        stack(echoes[echo], f"{part} images of echo {echo + 1}", slices) for echo in sorted(echoes)
    ]


def _echo_numbers(images: list[Image]) -> list[int]:
    contrasts = [int(image.head["contrast"]) for image in images]
    if any(contrasts):
        return contrasts
    seen: Counter[tuple[int, ...]] = Counter()
    numbers = []
    for image in images:
        place = (int(image.head["slice"]), *np.round(image.head["position"], 2).tolist())
        numbers.append(seen[place])
        seen[place] += 1
    return numbers


def _slices_of(header: Header) -> int:
    if header.recon_matrix[0] > 1 or "slice" not in header.limits:
        return header.recon_matrix[0]
    return header.limits["slice"].maximum + 1


def _geometry(first: Stack, header: Header) -> Geometry:
    head, matrix = first.image.head, (first.data.shape[1], *first.data.shape[2:])
    x, y, z = (float(size) for size in head["field_of_view"])
    if min(x, y) <= 0:
        _, y, x = header.recon_fov_mm
    if first.spacing_mm is not None:
        z = first.spacing_mm * matrix[0]
    elif z / matrix[0] < _THINNEST * min(x / matrix[2], y / matrix[1]):
        z = header.recon_fov_mm[0]
    axes = axes_of(first.image)
    if first.spacing_mm is not None:  # slices were put in order along the direction of the header
        axes.shown[2] = axes.acquired[2]
    placed = dict(zip(ACQUIRED, axes.shown, strict=True))
    size = z / matrix[0], y / matrix[1], x / matrix[2]
    placed["position"] = axes.centre(head["position"], matrix, size)
    return exact_geometry(first.image, header.geometry(placed, matrix, (z, y, x)))


def _complex(way: tuple[str, ...], volumes: dict[str, list[np.ndarray]]) -> np.ndarray:
    if len({volume.shape for echoes in volumes.values() for volume in echoes}) > 1:
        raise QsmError("slices are missing: not every echo has as many")
    if way == ("magnitude", "phase"):
        volumes["phase"] = phase_to_radians(volumes["phase"])
    if way == ("real", "imaginary") and any(v.dtype.kind == "u" for v in volumes["real"]):
        raise QsmError("real and imaginary images without a sign cannot be read; send them signed")
    first = volumes[way[0]]
    data = np.empty((len(first), *first[0].shape), np.complex64)
    for echo, parts in enumerate(zip(*(volumes[part] for part in way), strict=True)):
        if way == ("magnitude", "phase"):
            data[echo] = parts[0].astype(np.float32) * np.exp(1j * parts[1])
        elif way == ("real", "imaginary"):
            data[echo].real, data[echo].imag = parts
        else:
            data[echo] = parts[0]
    return data
