"""BET: a surface that grows inside the head until it meets the edge of the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.distance import depth
from gadgetron_qsm.mask.morphology import largest_piece
from gadgetron_qsm.mask.shading import blocks, head, in_blocks, local_brightness
from gadgetron_qsm.mask.surface import Points, Topology, icosphere, inside, subdivided

WORKING_MM = 2.0  # voxels finer than this are averaged
BIAS_MM = 30.0  # standard deviation of the Gaussian that takes out the coils' shading
OPENING_MM = 12.0  # what is thicker than twice this is looked at for the middle of the brain
DEPTHS_MM = np.arange(0.0, 20.1, 2.0)  # inward of the surface, where the darkest is sought
BRIGHT = 6  # of these depths, up to 10 mm, the brightest
BACKGROUND = 0.1  # of the way from the darkest to the brightest: less is no tissue
CURVATURE_PER_MM = (1 / 10.0, 1 / 3.33)  # hardly smoothed, and fully
GAIN = 0.05  # a step is at most about this part of an edge
START = 0.5  # radius of the first surface, of the brain's
ROUNDS = ((3, 150), (4, 60))  # subdivisions of the surface, steps
MARGIN_MM = 24.0  # by which the surface may leave the grid
EDGE_MM = 4.0  # of the grid that is not looked at: a slab's ends are dark


@dataclass(frozen=True)
class _Ground:
    """What the surface grows in: a host image free of shading, and its levels of brightness.

    dark: of what does not signal; least: of what is not background; middle: of the brain.
    """

    image: NDArray[np.float32]
    voxel_size: Points
    dark: float
    least: float
    middle: float

    def at(self, places: Points) -> NDArray[np.float32]:
        """Brightness at places (..., zyx) in mm from voxel 0; that of near its edge beyond it."""
        last = np.array(self.image.shape) - 1
        edge = np.minimum(np.rint(EDGE_MM / self.voxel_size), last // 2)
        index = np.clip(np.rint(places / self.voxel_size), edge, last - edge).astype(int)
        z, y, x = np.moveaxis(index, -1, 0)
        # one index instead of three takes half the time
        return self.image.ravel()[(z * self.image.shape[1] + y) * self.image.shape[2] + x]


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
    Returns bool (z, y, x). The surface is small and moves on the host; a device array's averages
    visit it. Raises ValueError when nothing is bright.
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
    even, tissue = to_numpy(image / brightness), to_numpy(tissue)
    centre, radius = _middle(tissue, size)
    ground = _ground(even, tissue, np.array(size), centre, radius)
    vertices, topology = _grown(ground, centre, radius * START, fractional_threshold)
    voxels = vertices / np.array(voxel_size) + (np.array(parts) - 1) / 2
    return xp.asarray(inside(voxels, topology.faces, magnitude.shape))


def _middle(tissue: NDArray[np.bool_], voxel_size: Sequence[float]) -> tuple[Points, float]:
    """Return the centre (zyx) and radius in mm of the largest part that is thick."""
    walled = np.pad(tissue, 1)
    deep = depth(walled, voxel_size)[1:-1, 1:-1, 1:-1]
    opening = min(OPENING_MM, float(deep.max()) / 2)
    core = largest_piece(deep > opening)
    centre = np.array(scipy.ndimage.center_of_mass(core)) * np.array(voxel_size)
    volume = np.count_nonzero(core) * np.prod(voxel_size)
    return centre, float(np.cbrt(volume * 3 / (4 * np.pi))) + opening


def _ground(
    image: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    voxel_size: Points,
    centre: Points,
    radius: float,
) -> _Ground:
    axes = [np.arange(n) * size for n, size in zip(image.shape, voxel_size, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    square = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    middle = float(np.median(image[tissue & (square < radius**2)]))
    dark = 0.0 if tissue.all() else float(np.median(image[~tissue]))
    bright = float(np.percentile(image[tissue], 98))
    return _Ground(image, voxel_size, dark, dark + BACKGROUND * (bright - dark), middle)


def _grown(
    ground: _Ground, centre: Points, radius: float, fractional_threshold: float
) -> tuple[Points, Topology]:
    """Let a sphere of `radius` mm grow, coarse at first; return its vertices in mm."""
    sphere, topology = icosphere(ROUNDS[0][0])
    vertices = centre + radius * sphere
    reach = np.array(ground.image.shape) * ground.voxel_size - ground.voxel_size + MARGIN_MM
    for subdivisions, steps in ROUNDS:
        finer = icosphere(subdivisions)[1]
        if finer.faces.max() >= len(vertices):
            vertices, _ = subdivided(vertices, topology.faces)
        topology = finer
        for _ in range(steps):
            vertices += _step(vertices, topology, ground, fractional_threshold)
            np.clip(vertices, -MARGIN_MM, reach, out=vertices)
    return vertices, topology


def _step(
    vertices: Points, topology: Topology, ground: _Ground, fractional_threshold: float
) -> Points:
    """Way of each vertex in mm: half of it along the surface, smoothing and growth across."""
    normals = topology.normals(vertices)
    edge = np.linalg.norm(vertices[topology.neighbours[:, 0]] - vertices, axis=1).mean()
    to_mean = topology.neighbour_mean(vertices) - vertices
    across = np.einsum("vi,vi->v", to_mean, normals)
    along = to_mean - across[:, None] * normals
    flat, sharp = CURVATURE_PER_MM
    curvature = 2 * np.abs(across) / edge**2
    smooth = (1 + np.tanh(6 / (sharp - flat) * (curvature - (flat + sharp) / 2))) / 2
    rays = vertices[:, None] - DEPTHS_MM[:, None] * normals[:, None]
    grow = _growth(ground.at(rays), ground, fractional_threshold)
    return 0.5 * along + (smooth * across + GAIN * edge * grow)[:, None] * normals


def _growth(
    rays: NDArray[np.float32], ground: _Ground, fractional_threshold: float
) -> NDArray[np.float64]:
    """Outward force, of order 1, from the brightness (vertex, depth) inward of each vertex."""
    darkest = np.clip(rays.min(axis=1), ground.dark, ground.middle).astype(float)
    brightest = np.clip(rays[:, :BRIGHT].max(axis=1), ground.least, ground.middle).astype(float)
    contrast = np.maximum(brightest - ground.dark, np.finfo(float).tiny)
    return 2 * ((darkest - ground.dark) / contrast - fractional_threshold)
