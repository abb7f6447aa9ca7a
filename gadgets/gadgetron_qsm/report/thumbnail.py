"""A map the size of a stamp, for pages that show many scans."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.planes import middle, planes

NAME = "thumbnail.png"
PIXEL_MM = 2.5
REACH = 100.0  # ppb, from black to the middle grey, and from there to white
GREYS = 32  # so that a thousand of them make a page that opens
MOST_PIXELS = 96  # of a side


def save_thumbnail(path: Path, chi: Map) -> None:
    """Write a susceptibility map as a grey PNG: axial, coronal and sagittal planes side by side.

    From -100 ppb (black) to 100 ppb, through the middle of its voxels that are not 0, cut to
    their box. Raises QsmError when the file cannot be written.
    """
    from PIL import Image

    data, centre = _cut(to_numpy(chi.data))
    parts = []
    for plane in planes(data, chi.geometry, centre):
        grey = Image.fromarray(_grey(plane.image))
        high, wide = (_pixels(size_mm) for size_mm in plane.size_mm)
        parts.append(grey.resize((wide, high), Image.Resampling.BOX))
    size = sum(part.width for part in parts), max(part.height for part in parts)
    stamp = Image.new("L", size, int(_grey(np.zeros(1))[0]))
    left = 0
    for part in parts:
        stamp.paste(part, (left, (stamp.height - part.height) // 2))
        left += part.width
    buffer = io.BytesIO()
    stamp.quantize(GREYS).save(buffer, format="png", optimize=True)
    with replacing(path) as written:
        written.write_bytes(buffer.getvalue())


def _cut(data: NDArray[np.floating]) -> tuple[NDArray[np.floating], Sequence[int]]:
    """Cut a volume down to the box of its voxels that are not 0; return the middle of that."""
    filled = (data != 0) & np.isfinite(data)
    if not filled.any():
        return data, middle(data)
    ends = []
    for axis in range(3):
        places = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append(slice(int(places[0]), int(places[-1]) + 1))
    part = data[tuple(ends)]
    return part, middle(part)


def _grey(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    shown = np.nan_to_num(np.clip(image / (2 * REACH) + 0.5, 0, 1))
    return np.ascontiguousarray(255 * shown + 0.5, dtype=np.uint8)


def _pixels(size_mm: float) -> int:
    return int(np.clip(round(size_mm / PIXEL_MM), 1, MOST_PIXELS))
