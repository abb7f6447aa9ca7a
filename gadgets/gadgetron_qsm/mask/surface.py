"""Closed surfaces of triangles: the sphere that one begins with, its geometry, what lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Indices = NDArray[np.intp]

NEIGHBOURS = 6  # of a vertex; the twelve of the icosahedron have one fewer
COLUMNS_AT_ONCE = 2_000_000  # of triangles crossing grid lines, to bound memory


@dataclass(frozen=True)
class Topology:
    """Which vertices belong together, whatever their places.

    faces (face, 3): vertices of each triangle, counterclockwise from outside; neighbours
    (vertex, 6): vertices that share an edge, the vertex itself where there is no sixth.
    """

    faces: Indices
    neighbours: Indices

    def normals(self, vertices: Points) -> Points:
        """Outward unit normal at each vertex, the mean of its triangles' by area."""
        a, b, c = (vertices[corner] for corner in self.faces.T)
        across = np.cross(b - a, c - a)
        total = np.empty_like(vertices)
        for axis in range(3):
            share = np.repeat(across[:, axis], 3)
            total[:, axis] = np.bincount(self.faces.ravel(), share, len(vertices))
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)

    def neighbour_mean(self, values: Points) -> Points:
        """Mean over the neighbours of each vertex."""
        total = values[self.neighbours].sum(axis=1)
        lone = self.neighbours[:, -1] == np.arange(len(values))
        total[lone] -= values[lone]
        return total / (NEIGHBOURS - lone)[:, None]


def icosphere(subdivisions: int) -> tuple[Points, Topology]:
    """Return the unit sphere (vertex, 3) of an icosahedron whose edges are halved repeatedly."""
    vertices, faces = _icosahedron()
    for _ in range(subdivisions):
        vertices, faces = subdivided(vertices, faces)
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices, Topology(faces, _neighbours(faces, len(vertices)))


def subdivided(vertices: Points, faces: Indices) -> tuple[Points, Indices]:
    """Put a vertex in the middle of each edge; the vertices that there are keep their numbers."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, which = np.unique(sides, axis=0, return_inverse=True)
    ab, bc, ca = (which.reshape(-1, 3) + len(vertices)).T
    a, b, c = faces.T
    finer = np.concatenate(
        [np.stack(corners, 1) for corners in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    return np.concatenate([vertices, vertices[edges].mean(axis=1)]), finer


def inside(vertices: Points, faces: Indices, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which voxels' centres (z, y, x) lie inside a closed surface, vertices in voxels.

    Along every grid line of z, each triangle that it crosses turns inside to outside and back.
    """
    # off the grid lines by less than matters, so that no line meets a corner or an edge
    corners = vertices[faces] + np.array([0.0, 1.3e-6, 2.9e-6])
    turns = np.zeros((shape[0] + 1, shape[1], shape[2]), np.uint8)
    low = np.ceil(corners[..., 1:].min(axis=1)).astype(int)
    extent = np.floor(corners[..., 1:].max(axis=1)).astype(int) - low + 1
    crossed = (extent > 0).all(axis=1)
    corners, low, extent = corners[crossed], low[crossed], extent[crossed]
    rows, columns = extent.max(axis=0, initial=1)
    step = max(1, COLUMNS_AT_ONCE // int(rows * columns))
    offsets = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1)
    for first in range(0, len(corners), step):
        part = slice(first, first + step)
        _turn(turns, corners[part], low[part, None] + offsets.reshape(1, -1, 2))
    return (np.cumsum(turns[:-1], axis=0, dtype=np.uint8) & 1).astype(bool)


def _turn(turns: NDArray[np.uint8], corners: Points, lines: Indices) -> None:
    """Count in `turns` (z + 1, y, x) where triangles cross the lines (face, line, (y, x))."""
    a, b, c = (corners[:, None, corner] for corner in range(3))

    def twice_area(p: Points, q: Points) -> Points:
        y, x = lines[..., 0], lines[..., 1]
        return (p[..., 1] - y) * (q[..., 2] - x) - (p[..., 2] - x) * (q[..., 1] - y)

    weights = np.stack([twice_area(b, c), twice_area(c, a), twice_area(a, b)])
    total = weights.sum(axis=0)
    hit = ((weights > 0).all(axis=0) | (weights < 0).all(axis=0)) & (total != 0)
    for size, axis in ((turns.shape[1], 0), (turns.shape[2], 1)):
        hit &= (lines[..., axis] >= 0) & (lines[..., axis] < size)
    face, line = np.nonzero(hit)
    share = weights[:, face, line] / total[face, line]
    height = (share * corners[face, :, 0].T).sum(axis=0)
    first = np.clip(np.ceil(height), 0, len(turns) - 1).astype(int)
    y, x = lines[face, line].T
    np.add.at(turns, (first, y, x), np.uint8(1))


def _icosahedron() -> tuple[Points, Indices]:
    golden = (1 + np.sqrt(5)) / 2
    base = [(0.0, i, j * golden) for i in (-1, 1) for j in (-1, 1)]
    vertices = np.array([np.roll(point, turn) for point in base for turn in range(3)])
    gaps = np.linalg.norm(vertices[:, None] - vertices, axis=2)
    touch = np.isclose(gaps, 2)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if touch[i, j] and touch[j, k] and touch[i, k]
    ]
    outward = [
        (i, j, k) if np.linalg.det(vertices[[i, j, k]]) > 0 else (i, k, j) for i, j, k in faces
    ]
    return vertices / np.linalg.norm(vertices[0]), np.array(outward)


def _neighbours(faces: Indices, count: int) -> Indices:
    pairs = np.unique(faces[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2), axis=0)
    start = np.searchsorted(pairs[:, 0], np.arange(count))
    order = np.arange(len(pairs)) - start[pairs[:, 0]]
    table = np.repeat(np.arange(count)[:, None], NEIGHBOURS, axis=1)
    table[pairs[:, 0], order] = pairs[:, 1]
    return table
