"""Where the slices of a 2D scan lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Record
from gadgetron_qsm.mrd.stacks import slice_order


def stacked(header: Header, heads: Mapping[int, Record]) -> tuple[np.ndarray, Geometry]:
    """Return the order of the slices along slice_dir, and the geometry of the volume they make.

    heads: the head of a readout of each slice, by slice number. Voxels are as far apart as the
    slices, gaps included. Raises QsmError when two are in one place, or not evenly spaced.
    """
    numbers = sorted(heads)
    order, spacing_mm = slice_order([heads[number] for number in numbers], "slices of the scan")
    matrix, fov_mm = header.native_volume
    thickness_mm = fov_mm[0] / matrix[0]
    middle = heads[numbers[order[len(order) // 2]]]
    fov_mm = ((spacing_mm or thickness_mm) * matrix[0], *fov_mm[1:])
    return order, header.geometry(middle, matrix, fov_mm)


def reorder(images: Array, order: np.ndarray) -> None:
    """Put the slices of images (echo, coil, z, y, x) in order, in place."""
    for echo in images:
        for volume in echo:
            volume[...] = volume[order]
