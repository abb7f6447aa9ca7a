"""The pictures of a run, drawn once: for its page and, one below the other, as one file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.picture import draw, png
from gadgetron_qsm.report.planes import middle

PICTURES: Mapping[str, tuple[str, ...]] = {
    "Magnitude and mask": ("magnitude",),
    "Fields": ("total_field", "local_field"),
    "Susceptibility": ("chi",),
}


def drawn(maps: Mapping[str, Map]) -> dict[str, bytes]:
    """Return a PNG for each of PICTURES that there is a map for, all in the same planes.

    These run through the middle of the susceptibility's non-zero voxels, or else of the mask's.
    """
    mask, about = maps.get("mask"), next((maps[n] for n in ("chi", "mask") if n in maps), None)
    centre = middle(to_numpy(about.data)) if about else None
    found = {}
    for heading, names in PICTURES.items():
        if there := [maps[name] for name in names if name in maps]:
            found[heading] = png(draw(there, mask, centre))
    return found


def save_picture(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write the answer of `drawn` as one PNG; without pictures a file of before goes.

    Raises QsmError when the file cannot be written.
    """
    if not pictures:
        path.unlink(missing_ok=True)
        return
    parts = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures.values()]
    size = max(part.width for part in parts), sum(part.height for part in parts)
    whole, below = Image.new("RGB", size, "white"), 0
    for part in parts:
        whole.paste(part, (0, below))
        below += part.height
    with replacing(path) as file:
        whole.save(file, format="png")
