from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.mask.surface import icosphere, inside, subdivided
from tests.analytic import distance

SPHERE, TOPOLOGY = icosphere(3)


@pytest.mark.parametrize("subdivisions", [0, 1, 3])
def test_an_icosphere_is_one_closed_surface(subdivisions):
    vertices, topology = icosphere(subdivisions)
    edges = np.sort(topology.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    assert (times == 2).all()  # every edge has a triangle on either side
    assert len(vertices) - len(unique) + len(topology.faces) == 2  # Euler's number of a sphere
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1)


def test_a_subdivided_surface_keeps_its_vertices_and_belongs_to_the_finer_topology():
    vertices, faces = subdivided(SPHERE, TOPOLOGY.faces)
    np.testing.assert_array_equal(vertices[: len(SPHERE)], SPHERE)
    np.testing.assert_array_equal(faces, icosphere(4)[1].faces)


def test_neighbours_are_those_that_share_an_edge():
    edges = TOPOLOGY.faces[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2)
    listed = [(v, n) for v, row in enumerate(TOPOLOGY.neighbours) for n in row if n != v]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(map(tuple, edges.tolist()))


@pytest.mark.parametrize(
    "centre", [(20, 22, 17), (20.3, 21.7, 16.5), (2, 22, 30), (50, 22, 17), (-30, 0, 0)]
)
def test_voxels_in_a_sphere_are_those_whose_centres_are(centre):
    shape, radius = (41, 46, 35), 13.0
    found = inside(SPHERE * radius + centre, TOPOLOGY.faces, shape)
    from_centre = np.array(centre) - np.array(shape) // 2
    r = distance(shape, (1, 1, 1), from_centre)
    assert found[r < radius - 0.2].all()  # the sphere's triangles lie a little inside it
    assert not found[r > radius].any()


def test_voxels_on_corners_and_edges_of_a_surface_are_inside_or_outside_once():
    vertices, topology = icosphere(0)
    square = np.round(vertices * 8)  # whole voxels
    found = inside(square + 10, topology.faces, (21, 21, 21))
    r = distance((21, 21, 21), (1, 1, 1))
    assert found[r < 5.5].all()
    assert not found[r > 9].any()
