"""Where the slices of a 2D scan lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Record
from gadgetron_qsm.mrd.stacks import slice_order

NO_PLACES = "the slices are all in one place: taken in the order of their counter, without gaps"


def stacked(
    header: Header, heads: Mapping[int, Record], journal: Journal
) -> tuple[np.ndarray, Geometry]:
    """Return the order of the slices along slice_dir, and the geometry of the volume they make.

    heads: the head of a readout of each slice, by slice number. Voxels are as far apart as the
    slices, gaps included. Raises QsmError when one is missing, two are in one place, or they are
    not evenly spaced.
    """
    matrix, fov_mm = header.native_volume
    missing = matrix[0] - len(heads)
    if missing:
        raise QsmError(f"{missing} of {matrix[0]} slices are missing; send the scan again")
    numbers = sorted(heads)
    counted = [heads[number] for number in numbers]
    order, spacing_mm = slice_order(counted, numbers, "slices of the scan")
    if spacing_mm is None and len(numbers) > 1:
        journal.warn(NO_PLACES)
    thickness_mm = fov_mm[0] / matrix[0]
    middle = counted[order[len(order) // 2]]
    fov_mm = ((spacing_mm or thickness_mm) * matrix[0], *fov_mm[1:])
    return order, header.geometry(middle, matrix, fov_mm)


def reorder(images: Array, order: np.ndarray) -> None:
    """Put the slices of images (echo, coil, z, y, x) in order, in place."""
    there = array_module(images).asarray(order)
    for echo in images:
        for volume in echo:
            volume[...] = volume[there]
