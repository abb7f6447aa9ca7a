"""How BET's surface moves: each vertex towards the edge of the brain, the whole smoothed."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import compiled

DEPTHS_MM = np.arange(0.0, 20.1, 2.0)  # inward of the surface, where the darkest is sought
BRIGHT = 6  # of these depths, up to 10 mm, the brightest
FLAT, SHARP = 1 / 10.0, 1 / 3.33  # curvature per mm that is hardly smoothed, and fully
GAIN = 0.05  # a step is at most about this part of an edge
MARGIN_MM = 24.0  # by which the surface may leave the grid
EDGE_MM = 4.0  # of the grid that is not looked at: a slab's ends are dark
FAINTEST = np.finfo(float).tiny


@compiled
def grow(vertices, faces, neighbours, ground, fractional_threshold, steps):  # type: ignore[no-untyped-def]
    """Move the vertices (vertex, zyx) in mm by so many steps, in place.

    faces and neighbours as of a Topology. ground: (image, voxel_size, levels): (z, y, x) float32
    without shading, voxel 0 at 0 mm; (z, y, x) in mm; the brightness of what does not signal, the
    least of what is not background, and that of the middle of the brain. A vertex moves out where
    the darkest as far inside it as DEPTHS_MM is bright enough, and in where not; to between its
    neighbours it moves along the surface by half, and across as far as that is sharply curved.
    Compiled, as numpy's functions take longer to begin than to do that.
    Smith 2002, doi:10.1002/hbm.10062.
    """
    image, voxel_size, _ = ground
    normals, ways = np.empty_like(vertices), np.empty_like(vertices)
    last = np.array(image.shape) - 1
    for _ in range(steps):
        fill_normals(vertices, faces, normals)
        edge = _mean_edge(vertices, neighbours)
        for v in range(len(vertices)):
            mean = mean_of_neighbours(vertices, neighbours, v)
            bright = _brightness(vertices[v], normals[v], ground, fractional_threshold)
            _fill_way(vertices[v], normals[v], mean, edge, GAIN * edge * bright, ways[v])
        for v in range(len(vertices)):
            for axis in range(3):
                place, reach = vertices[v, axis] + ways[v, axis], last[axis] * voxel_size[axis]
                vertices[v, axis] = min(max(place, -MARGIN_MM), reach + MARGIN_MM)


@compiled
def fill_normals(vertices, faces, normals):  # type: ignore[no-untyped-def]
    """Outward unit normal (vertex, zyx) at each vertex, the mean of its triangles' by area."""
    normals[:] = 0
    across = np.empty(3)
    for f in range(len(faces)):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        for axis in range(3):
            i, j = (axis + 1) % 3, (axis + 2) % 3
            across[axis] = (b[i] - a[i]) * (c[j] - a[j]) - (b[j] - a[j]) * (c[i] - a[i])
        for corner in range(3):
            for axis in range(3):
                normals[faces[f, corner], axis] += across[axis]
    for v in range(len(vertices)):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        for axis in range(3):
            normals[v, axis] /= max(length, 1e-12)


@compiled
def mean_of_neighbours(vertices, neighbours, vertex):  # type: ignore[no-untyped-def]
    """Mean (z, y, x) of the places of a vertex's neighbours."""
    z, y, x, count = 0.0, 0.0, 0.0, 0
    for other in neighbours[vertex]:
        if other != vertex:
            z, y, x = z + vertices[other, 0], y + vertices[other, 1], x + vertices[other, 2]
            count += 1
    return z / count, y / count, x / count


@compiled
def _mean_edge(vertices, neighbours):  # type: ignore[no-untyped-def]
    """Mean distance to the first neighbour."""
    total = 0.0
    for v in range(len(vertices)):
        square = 0.0
        for axis in range(3):
            square += (vertices[neighbours[v, 0], axis] - vertices[v, axis]) ** 2
        total += np.sqrt(square)
    return total / len(vertices)


@compiled
def _fill_way(vertex, normal, mean, edge, force, way):  # type: ignore[no-untyped-def]
    """Way (zyx) of a vertex in mm: half of that along the surface, smoothing and force across."""
    across = 0.0
    for axis in range(3):
        across += (mean[axis] - vertex[axis]) * normal[axis]
    curvature = 2 * abs(across) / edge**2
    smooth = (1 + np.tanh(6 / (SHARP - FLAT) * (curvature - (FLAT + SHARP) / 2))) / 2
    for axis in range(3):
        along = mean[axis] - vertex[axis] - across * normal[axis]
        way[axis] = 0.5 * along + (smooth * across + force) * normal[axis]


@compiled
def _brightness(vertex, normal, ground, fractional_threshold):  # type: ignore[no-untyped-def]
    """Outward force, of order 1, from the brightness inward of a vertex."""
    image, voxel_size, (dark, least, middle) = ground
    darkest, brightest = np.inf, -np.inf
    for i in range(len(DEPTHS_MM)):
        z = _index(vertex[0] - DEPTHS_MM[i] * normal[0], voxel_size[0], image.shape[0])
        y = _index(vertex[1] - DEPTHS_MM[i] * normal[1], voxel_size[1], image.shape[1])
        x = _index(vertex[2] - DEPTHS_MM[i] * normal[2], voxel_size[2], image.shape[2])
        darkest = min(darkest, image[z, y, x])
        if i < BRIGHT:
            brightest = max(brightest, image[z, y, x])
    darkest = min(max(darkest, dark), middle)
    brightest = min(max(brightest, least), middle)
    return 2 * ((darkest - dark) / max(brightest - dark, FAINTEST) - fractional_threshold)


@compiled
def _index(place, size, voxels):  # type: ignore[no-untyped-def]
    """Voxel at a place in mm; beyond the grid the one near its edge."""
    edge = min(np.rint(EDGE_MM / size), (voxels - 1) // 2)
    return int(min(max(np.rint(place / size), edge), voxels - 1 - edge))
