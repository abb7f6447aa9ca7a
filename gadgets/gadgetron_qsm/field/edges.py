"""Values on the edges between neighbours, from and to voxels."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module


def mean_of_edges(values: Sequence[Array]) -> Array:
    """Give every voxel the mean of its edges, up to six.

    values: for each axis those of the edges along it, one less along that axis than the grid.
    Returns (z, y, x) float32.
    """
    xp = array_module(values[0])
    shape = (values[1].shape[0], *values[0].shape[1:])
    total, count = xp.zeros(shape, xp.float32), xp.zeros(shape, xp.float32)
    for axis, of_edges in enumerate(values):
        edges = xp.moveaxis(of_edges, axis, 0)
        for voxels, value in ((total, edges), (count, 1)):
            along = xp.moveaxis(voxels, axis, 0)
            along[:-1] += value
            along[1:] += value
    return total / xp.maximum(count, 1)


def divergence(steps: Sequence[Array]) -> Array:
    """Return what flows out of each voxel (z, y, x) over its edges, float32; steps as above."""
    xp = array_module(steps[0])
    total = xp.zeros((steps[1].shape[0], *steps[0].shape[1:]), xp.float32)
    for axis, of_edges in enumerate(steps):
        edges, along = xp.moveaxis(of_edges, axis, 0), xp.moveaxis(total, axis, 0)
        along[:-1] += edges
        along[1:] -= edges
    return total
