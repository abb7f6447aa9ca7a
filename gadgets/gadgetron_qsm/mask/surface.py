"""Closed surfaces of triangles: the sphere that one begins with, its geometry, what lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import compiled

Points = NDArray[np.float64]
Indices = NDArray[np.intp]

NEIGHBOURS = 6  # of a vertex; the twelve of the icosahedron have one fewer


@dataclass(frozen=True)
class Topology:
    """Which vertices belong together, whatever their places.

    faces (face, 3): vertices of each triangle, counterclockwise from outside; neighbours
    (vertex, 6): vertices that share an edge, the vertex itself where there is no sixth.
    """

    faces: Indices
    neighbours: Indices


def icosphere(subdivisions: int) -> tuple[Points, Topology]:
    """Return the unit sphere (vertex, 3) of an icosahedron whose edges are halved repeatedly."""
    vertices, faces = _icosahedron()
    for _ in range(subdivisions):
        vertices, faces = subdivided(vertices, faces)
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices, Topology(faces, neighbours_of(faces, len(vertices)))


def subdivided(vertices: Points, faces: Indices) -> tuple[Points, Indices]:
    """Put a vertex in the middle of each edge; the vertices that there are keep their numbers."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    # one number an edge: rows take many times as long to sort
    both, which = np.unique(sides @ (len(vertices), 1), return_inverse=True)
    edges = np.stack(np.divmod(both, len(vertices)), axis=1)
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
    turns = np.zeros(shape, np.bool_)
    _fill_turns(corners, turns)
    for z in range(1, len(turns)):
        turns[z] ^= turns[z - 1]
    return turns


@compiled
def _fill_turns(corners, turns):  # type: ignore[no-untyped-def]
    """Mark the first voxels (z, y, x) beyond where triangles (face, corner, zyx) cross lines."""
    nz, ny, nx = turns.shape
    for f in range(len(corners)):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        first_y, last_y = max(min(a[1], b[1], c[1]), 0), min(max(a[1], b[1], c[1]), ny - 1)
        first_x, last_x = max(min(a[2], b[2], c[2]), 0), min(max(a[2], b[2], c[2]), nx - 1)
        for y in range(int(np.ceil(first_y)), int(np.floor(last_y)) + 1):
            for x in range(int(np.ceil(first_x)), int(np.floor(last_x)) + 1):
                of_a, of_b, of_c = _area(b, c, y, x), _area(c, a, y, x), _area(a, b, y, x)
                if min(of_a, of_b, of_c) > 0 or max(of_a, of_b, of_c) < 0:
                    height = (of_a * a[0] + of_b * b[0] + of_c * c[0]) / (of_a + of_b + of_c)
                    z = max(int(np.ceil(height)), 0)
                    if z < nz:
                        turns[z, y, x] = not turns[z, y, x]


@compiled
def _area(p, q, y, x):  # type: ignore[no-untyped-def]
    """Twice the area, in the plane of y and x, of the triangle of a place and two corners."""
    return (p[1] - y) * (q[2] - x) - (p[2] - x) * (q[1] - y)


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


def neighbours_of(faces: Indices, count: int) -> Indices:
    """Return the neighbours (vertex, 6) of a Topology's vertices."""
    near, far = faces[:, [0, 1, 1, 2, 2, 0]].T, faces[:, [1, 0, 2, 1, 0, 2]].T
    vertex, other = np.divmod(np.unique(near * count + far), count)
    order = np.arange(len(vertex)) - np.searchsorted(vertex, np.arange(count))[vertex]
    table = np.repeat(np.arange(count)[:, None], NEIGHBOURS, axis=1)
    table[vertex, order] = other
    return table
