"""Rows of a cohort that never was."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from gadgetron_qsm.cohort.figures import Row

USUAL = {
    "phase_residues": (3, 1),  # mean and standard deviation
    "phase_residual": (0.02, 0.001),
    "mask_volume": (1300, 60),
    "streaking": (0.8, 0.02),
    "reference_sd": (25, 1),
    "ghosting": (4, 0.3),
    "warnings": (0, 0),
}


def grey_stamp(rng, size=(200, 64)):
    """A PNG of noise, as large as a thumbnail gets."""
    pixels = rng.integers(0, 32, size[::-1], dtype=np.uint8) * 8
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(32).save(buffer, format="png")
    return buffer.getvalue()


def rows(folder: Path, count: int, seed: int = 0) -> list[Row]:
    """Scans that are done, alike but for chance; scan 3 ghosts, scan 5 has a small mask."""
    rng = np.random.default_rng(seed)
    stamp = grey_stamp(rng)
    made = []
    for number in range(count):
        figures = {name: float(rng.normal(*of)) for name, of in USUAL.items()}
        if number == 3:
            figures["ghosting"] = 15.0
        if number == 5:
            figures["mask_volume"] = 700.0
        name = f"scan{number}"
        made.append(Row(name, folder / name, "done", figures=figures, thumbnail=stamp))
    return made
