"""Chi on the grid of an anatomical series, as planning of electrodes and overlays need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.dicom.grid_of_series import read_slices
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.grids import divided
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.rigid import Rigid, register_rigid
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import read_volume

HALF = 0.5  # of a voxel's neighbours that must be in the mask for it to have a value
LEAST_CORRELATION = 0.3  # in size; contrasts differ, and white matter may be bright or dark
MOST_PARTS = 8  # that a side of a large voxel is averaged over


@dataclass(frozen=True, eq=False)
class Anatomy:
    """An anatomical series (z, y, x) and where it lies; frame_of_reference a UID, None unknown."""

    values: NDArray[Any]
    geometry: Geometry
    frame_of_reference: str | None = None


@dataclass(frozen=True, eq=False)
class OnAnatomy:
    """Chi (ppb, 0 outside) and its mask (z, y, x) on the grid of an anatomical series.

    rigid is how it was laid there, None where both share a frame of reference; `told` says which,
    for people.
    """

    chi: NDArray[np.float32]
    mask: NDArray[np.bool_]
    geometry: Geometry
    rigid: Rigid | None
    told: str


def read_anatomy(path: Path) -> Anatomy:
    """Read a folder of DICOM slices, or a NIfTI file, which tells no frame of reference.

    Raises QsmError when it is neither, or no volume of even slices at right angles.
    """
    if path.is_dir():
        series = read_slices(path)
        return Anatomy(series.values, series.geometry, series.frame_of_reference)
    values, geometry = read_volume(path)
    return Anatomy(values, geometry)


def on_anatomy(
    scan: Scan,
    anatomy: Anatomy,
    *,
    frame_of_reference: str | None = None,
    register: bool | None = None,
) -> OnAnatomy:
    """Bring chi of a scan onto the grid of an anatomical series.

    frame_of_reference: the scan's UID. In one frame of reference a point has the same coordinates
    in both, and stays where it is; in two, or when one is not known, the head is registered first.
    `register` True does that in any case, for a patient who moved, and False in none.
    Interpolation is linear among voxels of the mask alone: what lies outside it neither pulls
    values to 0 nor gets any. Voxels larger than the scan's get the mean over them.
    Raises QsmError when the heads cannot be laid on each other, or nothing of the map is there.
    """
    own, other = frame_of_reference, anatomy.frame_of_reference
    same = own is not None and own == other
    rigid = _registered(scan, anatomy) if (not same if register is None else register) else None
    matrix = None if rigid is None else np.linalg.inv(rigid.matrix)
    chi, mask = _masked(scan, anatomy.geometry, matrix)
    if not mask.any():
        raise QsmError("the anatomical series shows nothing of the map; is it of this patient?")
    return OnAnatomy(chi, mask, anatomy.geometry, rigid, _told(same, own, other, rigid))


def _registered(scan: Scan, anatomy: Anatomy) -> Rigid:
    rigid = register_rigid(
        scan.magnitude, scan.geometry, anatomy.values, anatomy.geometry, mask=scan.mask
    )
    if abs(rigid.quality) < LEAST_CORRELATION:
        raise QsmError(
            "the map does not lie on the anatomical series: they correlate by "
            f"{rigid.quality:.2f}; is it the head of this patient?"
        )
    return rigid


def _masked(
    scan: Scan, onto: Geometry, matrix: NDArray[np.floating] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return chi and mask on a grid; matrix takes its points to the scan's."""
    parts = _parts(scan.geometry, onto)
    fine = divided(onto, parts)

    def mean(data: NDArray) -> NDArray[np.float32]:
        values = resampled(data, scan.geometry, fine, transform=matrix)
        z, y, x = onto.matrix
        cut = values.reshape(z, parts[0], y, parts[1], x, parts[2])
        averaged: NDArray[np.float32] = cut.mean(axis=(1, 3, 5), dtype=np.float32)
        return averaged

    share = mean(scan.mask.astype(np.float32))
    mask = share >= HALF
    chi = mean(np.where(scan.mask, scan.chi, 0)) / np.where(mask, share, 1)
    return np.where(mask, chi, np.float32(0)), mask


def _parts(own: Geometry, onto: Geometry) -> tuple[int, int, int]:
    """Return into how many each side of a voxel is cut to be averaged: own voxels along it."""
    axes, sizes = own.affine[:3, :3], np.array(own.voxel_size[::-1])
    sides = onto.affine[:3, :3].T @ axes / sizes**2  # (side, own axis), in own voxels
    x, y, z = (min(max(round(float(n)), 1), MOST_PARTS) for n in np.linalg.norm(sides, axis=1))
    return z, y, x


def _told(same: bool, own: str | None, other: str | None, rigid: Rigid | None) -> str:
    if rigid is None:
        where = "one frame of reference" if same else "what was said to be one frame of reference"
        return f"map and anatomical series share {where}; no registration was needed"
    why = "are of different frames of reference" if own and other else "have no common frame"
    why = "share a frame, but registration was asked for" if same else why
    moved = f"turned {rigid.angle_deg:.1f} degrees, shifted {rigid.shift_mm:.1f} mm"
    return f"map and anatomical series {why}: the head was registered, {moved}"
