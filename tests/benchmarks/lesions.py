"""Labelled heads with something wrong in them, and what a map says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from gadgetron_qsm.phantom import tissue

VALUES = f"""label,name,chi_ppm,proton_density,r2star_hz
{tissue.VEIN},bleed,0.9,0.5,120
{tissue.CALCIFICATION},calcification,-1.2,0.3,60
"""
RAISED_PPM = 0.03
RAISED = tissue.TISSUES[tissue.PUTAMEN]
RAISED_VALUES = f"""label,name,chi_ppm,proton_density,r2star_hz
{tissue.VEIN},left putamen,{RAISED.chi_ppm + RAISED_PPM},{RAISED.proton_density},{RAISED.r2star_hz}
"""
BLEED_MM, CALCIFICATION_MM = 4.5, 3.5  # diameters
BLEED_AT = (-0.22, 0.16, 0.14)  # of the brain's extent, from its centre (x, y, z): right to left
CALCIFIED_AT = (0.10, -0.26, 0.10)
FULLEST = 0.9  # of what the voxel holds that holds most


def with_bleed_and_calcification(labels: Path, folder: Path) -> tuple[Path, Path]:
    """Write the labels with two spheres in white matter, and the values of what they hold."""
    image, drawn = _read(labels)
    brain = np.argwhere(np.isin(drawn, tissue.BRAIN))
    first, last = brain.min(axis=0), brain.max(axis=0)
    sizes = np.array(image.header.get_zooms(), dtype=float)
    for at, diameter, label in (
        (BLEED_AT, BLEED_MM, tissue.VEIN),
        (CALCIFIED_AT, CALCIFICATION_MM, tissue.CALCIFICATION),
    ):
        centre = np.round((first + last) / 2 + (last - first) * at)
        index = np.moveaxis(np.indices(drawn.shape), 0, -1)
        away = np.linalg.norm((index - centre) * sizes, axis=-1)
        drawn[away <= diameter / 2] = label
    return _write(image, drawn, folder / "lesions.nii.gz", VALUES)


def with_raised_putamen(labels: Path, folder: Path) -> tuple[Path, Path]:
    """Write the labels with the left putamen apart, and the values that it has."""
    image, drawn = _read(labels)
    putamen = np.argwhere(drawn == tissue.PUTAMEN)
    right_mm = nibabel.affines.apply_affine(image.affine, putamen)[:, 0]  # RAS
    left = putamen[right_mm < right_mm.mean()]
    drawn[tuple(left.T)] = tissue.VEIN
    return _write(image, drawn, folder / "raised.nii.gz", RAISED_VALUES)


def _read(labels: Path) -> tuple[Any, np.ndarray]:
    image = nibabel.load(labels)
    return image, np.asarray(image.dataobj).astype(np.uint8)


def _write(image: Any, drawn: np.ndarray, path: Path, values: str) -> tuple[Path, Path]:
    nibabel.save(nibabel.Nifti1Image(drawn, image.affine), path)
    table = path.with_suffix(".csv")
    table.write_text(values)
    return path, table


def reading(chi_ppb: np.ndarray, true_ppb: np.ndarray, spot: np.ndarray) -> tuple[float, ...]:
    """Strongest value in a spot, mean over the voxels that the lesion fills most, and its truth.

    chi_ppb and true_ppb (z, y, x) relative to what is around the spot (z, y, x) bool.
    """
    sign = np.sign(true_ppb[spot].sum())
    content = np.where(spot, sign * true_ppb, 0)
    fullest = content >= FULLEST * content.max()
    peak = sign * (sign * chi_ppb)[spot].max()
    return float(peak), float(chi_ppb[fullest].mean()), float(true_ppb[fullest].mean())
