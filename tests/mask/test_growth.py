from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.mask import growth
from gadgetron_qsm.mask.growth import fill_normals, grow, mean_of_neighbours
from gadgetron_qsm.mask.surface import icosphere

SPHERE, TOPOLOGY = icosphere(3)


def test_normals_of_a_sphere_point_away_from_its_centre():
    normals = np.empty_like(SPHERE)
    fill_normals(SPHERE * 40 + [3, 4, 5], TOPOLOGY.faces, normals)
    np.testing.assert_allclose(normals, SPHERE, atol=0.02)


def test_the_mean_of_neighbours_does_not_count_the_vertex_itself():
    lone = int(np.flatnonzero((TOPOLOGY.neighbours == np.arange(len(SPHERE))[:, None]).any(1))[0])
    values = np.zeros_like(SPHERE)
    values[lone] = 5.0
    assert not any(mean_of_neighbours(values, TOPOLOGY.neighbours, lone))
    for vertex in range(len(SPHERE)):
        mean = mean_of_neighbours(np.ones_like(SPHERE), TOPOLOGY.neighbours, vertex)
        np.testing.assert_allclose(mean, 1)


def plain_step(vertices, ground, fractional_threshold):
    """One step of `grow` in plain numpy."""
    image, voxel_size, (dark, least, middle) = ground
    faces, neighbours = TOPOLOGY.faces, TOPOLOGY.neighbours
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces, np.cross(b - a, c - a)[:, None])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    edge = np.linalg.norm(vertices[neighbours[:, 0]] - vertices, axis=1).mean()
    others = neighbours != np.arange(len(vertices))[:, None]
    mean = (vertices[neighbours] * others[..., None]).sum(axis=1) / others.sum(axis=1)[:, None]
    across = ((mean - vertices) * normals).sum(axis=1, keepdims=True)
    along = mean - vertices - across * normals
    flat, sharp = growth.FLAT, growth.SHARP
    curvature = 2 * np.abs(across) / edge**2
    smooth = (1 + np.tanh(6 / (sharp - flat) * (curvature - (flat + sharp) / 2))) / 2
    rays = vertices[:, None] - growth.DEPTHS_MM[:, None] * normals[:, None]
    last = np.array(image.shape) - 1
    rim = np.minimum(np.rint(growth.EDGE_MM / voxel_size), last // 2)
    index = np.clip(np.rint(rays / voxel_size), rim, last - rim).astype(int)
    seen = image[tuple(np.moveaxis(index, -1, 0))].astype(float)
    darkest = np.clip(seen.min(axis=1), dark, middle)
    brightest = np.clip(seen[:, : growth.BRIGHT].max(axis=1), least, middle)
    force = 2 * ((darkest - dark) / (brightest - dark) - fractional_threshold)
    way = 0.5 * along + (smooth * across + growth.GAIN * edge * force[:, None]) * normals
    return np.clip(vertices + way, -growth.MARGIN_MM, last * voxel_size + growth.MARGIN_MM)


@pytest.mark.parametrize("middle", [(20.0, 25.0, 30.0), (2.0, 50.0, 0.0)])
def test_the_compiled_step_is_the_plain_one(middle):
    rng = np.random.default_rng(0)
    image = rng.random((22, 24, 19)).astype(np.float32)
    ground = image, np.array([2.0, 2.1, 2.5]), (0.1, 0.2, 0.8)
    vertices = np.array(middle) + 24 * SPHERE * rng.uniform(0.9, 1.1, (len(SPHERE), 1))
    expected = vertices
    for _ in range(4):
        expected = plain_step(expected, ground, 0.45)
    assert np.abs(expected - vertices).max() > 1
    grow(vertices, TOPOLOGY.faces, TOPOLOGY.neighbours, ground, 0.45, 4)
    np.testing.assert_allclose(vertices, expected, atol=1e-9)
