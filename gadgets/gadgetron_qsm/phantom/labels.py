"""A labelled head from a NIfTI file, brought into the simulated field of view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Triple

MARGIN_MM = 8.0  # of air on each side of the head, but not where the labels cut the neck
BACKGROUND = 0  # label that common tools give to what is outside; read as air


@dataclass(frozen=True)
class LabelledHead:
    """Labels (z, y, x) in LPS order, cut to the head; voxel size (z, y, x) in mm."""

    labels: NDArray[np.uint8]
    voxel_size: Triple
    cut_at_bottom: bool

    @property
    def fov_mm(self) -> Triple:
        """Extent (z, y, x) of the head with air around it."""
        z, y, x = (n * s for n, s in zip(self.labels.shape, self.voxel_size, strict=True))
        sides_in_z = 1 if self.cut_at_bottom else 2
        return z + sides_in_z * MARGIN_MM, y + 2 * MARGIN_MM, x + 2 * MARGIN_MM


def read_labels(path: Path) -> LabelledHead:
    """Read a three-dimensional map of labels 0 to 255 in any orientation.

    Raises QsmError when the file is absent, unreadable, or anything else than such a map.
    """
    try:
        image: Any = nibabel.load(path)
        if len(image.shape) != 3:
            raise QsmError(f"{path} has {len(image.shape)} dimensions; labels must have 3")
        image = nibabel.as_closest_canonical(image)
        values = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise QsmError(f"there is no label file {path}") from error
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise QsmError(f"cannot read the labels {path}: {str(error).splitlines()[0]}") from error
    x, y, z = (float(size) for size in image.header.get_zooms())
    if values.dtype.kind not in "buif" or not np.isin(values, np.arange(256)).all():
        raise QsmError(f"{path} holds values that are not whole numbers from 0 to 255")
    whole = values.astype(np.uint8)
    # canonical is (right, anterior, superior); the arrays here are (head, back, left)
    labels = whole[::-1, ::-1].transpose(2, 1, 0)
    labels = np.where(labels == BACKGROUND, np.uint8(tissue.AIR), labels)
    return _cut(labels, (z, y, x), path)


def _cut(labels: NDArray[np.uint8], voxel_size: Triple, path: Path) -> LabelledHead:
    head = labels != tissue.AIR
    if not head.any():
        raise QsmError(f"{path} holds nothing but air")
    found = [np.flatnonzero(head.any(axis=(*range(a), *range(a + 1, 3)))) for a in range(3)]
    box = tuple(slice(int(f[0]), int(f[-1]) + 1) for f in found)
    return LabelledHead(np.ascontiguousarray(labels[box]), voxel_size, box[0].start == 0)


def embed(head: LabelledHead, grid: Grid) -> NDArray[np.uint8]:
    """Return the labels (z, y, x) on the fine grid: nearest label, air around the head.

    Where the labels cut the neck, it goes on below as it is at the cut, as soft tissue, bone and
    air. Raises QsmError when voxels are smaller than the labels'.
    """
    if any(v < size - 1e-3 for v, size in zip(grid.voxel_size, head.voxel_size, strict=True)):
        raise QsmError(
            f"voxels of {grid.voxel_size} mm (z, y, x) are smaller than the labels' "
            f"{head.voxel_size} mm; ask for voxels of that size or larger"
        )
    at_z, at_y, at_x = (_nearest(head, grid, axis) for axis in range(3))
    below = at_z < 0
    labels = head.labels
    if head.cut_at_bottom:
        neck = np.where(np.isin(labels[:1], tissue.BRAIN), np.uint8(tissue.SOFT), labels[:1])
        labels = np.concatenate([neck, labels])
        at_z = np.where(below, 0, at_z + 1)
    labels = np.pad(labels, 1, constant_values=tissue.AIR)
    inside = (
        np.clip(at + 1, 0, n - 1) for at, n in zip((at_z, at_y, at_x), labels.shape, strict=True)
    )
    return labels[np.ix_(*inside)]


def _nearest(head: LabelledHead, grid: Grid, axis: int) -> NDArray[np.intp]:
    """Index of the label in which each fine voxel's centre lies; out of range outside."""
    n, fine = grid.fine_matrix[axis], grid.fine_voxel_size[axis] / head.voxel_size[axis]
    extent = head.labels.shape[axis]
    # half a fine voxel inside a label: cut in whole parts, no centre lies on a border of labels
    centre = extent // 2 + fine / 2
    if axis == 0 and head.cut_at_bottom:
        centre += MARGIN_MM / head.voxel_size[0] / 2 // 1  # the margin is above only
    return np.floor(centre + (np.arange(n) - n // 2) * fine + 1e-6).astype(np.intp)
