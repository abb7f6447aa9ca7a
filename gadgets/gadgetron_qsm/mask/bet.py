"""BET: a surface that grows inside the head until it meets the edge of the brain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.distance import depth
from gadgetron_qsm.mask.growth import grow
from gadgetron_qsm.mask.morphology import largest_piece
from gadgetron_qsm.mask.shading import blocks, head, in_blocks, local_brightness
from gadgetron_qsm.mask.surface import (
    Points,
    Topology,
    icosphere,
    inside,
    neighbours_of,
    subdivided,
)

WORKING_MM = 2.0  # voxels finer than this are averaged
BIAS_MM = 30.0  # standard deviation of the Gaussian that takes out the coils' shading
OPENING_MM = 12.0  # what is thicker than twice this is looked at for the middle of the brain
BACKGROUND = 0.1  # of the way from the darkest to the brightest: less is no tissue
START = 0.5  # radius of the first surface, of the brain's
ROUNDS = ((3, 150), (4, 60))  # subdivisions of the surface, steps

Ground = tuple[NDArray[np.float32], Points, tuple[float, float, float]]  # as `grow` takes it


def bet(
    magnitude: Array, voxel_size: Sequence[float], *, fractional_threshold: float = 0.5
) -> Array:
    """Extract the brain with a surface, as the Brain Extraction Tool does.

    magnitude (z, y, x), any unit, of one echo, best the first; voxel_size (z, y, x) in mm.
    `fractional_threshold`: of the way from dark to the brightest nearby, below which it is no
    brain; more makes the brain smaller. Steps:
    1. voxels of about 2 mm; the coils' shading divided out by a wide Gaussian;
    2. a sphere of half the brain's size in the middle of what is thick;
    3. each vertex moves out where the darkest within 20 mm inside it is bright enough, and in
       where not, and is drawn to between its neighbours where the surface is sharply curved;
    4. the voxels whose centres lie inside; beyond the grid the image goes on as at its edge.
    A slab is filled to its ends, but of a small crop within a head the corners are lost.
    Against Smith's the shading is new, as are the middle, taken from the thick part so that a neck
    does not pull it down, and rays that begin on the surface, not a voxel inside.
    Returns bool (z, y, x). The surface is small and moves on the host: of a device array the voxels
    of 2 mm come there, and the mask goes back. Raises ValueError when nothing is bright.
    Smith 2002, doi:10.1002/hbm.10062.
    """
    xp = array_module(magnitude)
    parts = blocks(magnitude.shape, voxel_size, WORKING_MM)
    size = [n * side for n, side in zip(parts, voxel_size, strict=True)]
    image = in_blocks(magnitude, parts)
    tissue = head(image)
    if not bool(tissue.any()):
        raise ValueError("no brain found: the magnitude is the same everywhere")
    brightness = local_brightness(image, tissue, size, BIAS_MM)
    even = image / brightness
    centre, radius = _middle(tissue, size)
    levels = _levels(even, tissue, size, centre, radius)
    ground = np.ascontiguousarray(to_numpy(even)), np.array(size), levels
    vertices, topology = _grown(ground, centre, radius * START, float(fractional_threshold))
    voxels = vertices / np.array(voxel_size) + (np.array(parts) - 1) / 2
    return xp.asarray(inside(voxels, topology.faces, magnitude.shape))


def _middle(tissue: Array, voxel_size: Sequence[float]) -> tuple[Points, float]:
    """Return the centre (zyx) and radius in mm of the largest part that is thick."""
    xp = array_module(tissue)
    deep = depth(xp.pad(tissue, 1), voxel_size, 2 * OPENING_MM)[1:-1, 1:-1, 1:-1]
    opening = min(OPENING_MM, float(deep.max()) / 2)
    places = xp.nonzero(largest_piece(deep > opening))
    centre = to_numpy(xp.stack([of_axis.mean() for of_axis in places])) * np.array(voxel_size)
    volume = len(places[0]) * np.prod(voxel_size)
    return centre, float(np.cbrt(volume * 3 / (4 * np.pi))) + opening


def _levels(
    image: Array, tissue: Array, voxel_size: Sequence[float], centre: Points, radius: float
) -> tuple[float, float, float]:
    """Return the levels of brightness as `grow` takes them."""
    xp = array_module(image)
    z, y, x = (
        xp.asarray((np.arange(n) * size - middle) ** 2)
        for n, size, middle in zip(image.shape, voxel_size, centre, strict=True)
    )
    near = z[:, None, None] + y[:, None] + x < radius**2
    middle = float(xp.median(image[tissue & near]))
    dark = 0.0 if bool(tissue.all()) else float(xp.median(image[~tissue]))
    bright = float(xp.percentile(image[tissue], 98))
    return dark, dark + BACKGROUND * (bright - dark), middle


def _grown(
    ground: Ground, centre: Points, radius: float, threshold: float
) -> tuple[Points, Topology]:
    """Let a sphere of `radius` mm grow, coarse at first; return its vertices in mm."""
    sphere, topology = icosphere(ROUNDS[0][0])
    vertices = centre + radius * sphere
    for subdivisions, steps in ROUNDS:
        if len(topology.faces) < 20 * 4**subdivisions:
            vertices, faces = subdivided(vertices, topology.faces)
            topology = Topology(faces, neighbours_of(faces, len(vertices)))
        grow(vertices, topology.faces, topology.neighbours, ground, threshold, steps)
    return vertices, topology
