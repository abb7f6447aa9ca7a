from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from gadgetron_qsm.field.grow import grow
from gadgetron_qsm.field.quality import NO_EDGE

TURN = 2 * np.pi
SHAPES = [(7, 8, 9), (6, 9, 1), (1, 8, 8), (1, 1, 30), (2, 1, 1), (1, 1, 1)]


def wrapped_noise(shape, rng):
    return rng.uniform(-np.pi, np.pi, shape).astype(np.float32)


def edge_costs(shape, rng, kinds=4, missing=0.0):
    """Costs of which many are equal; none over the ends of the grid."""
    costs = rng.integers(0, kinds, (3, *shape)).astype(np.uint8)
    costs[rng.random(costs.shape) < missing] = NO_EDGE
    for axis in range(3):
        np.moveaxis(costs[axis], axis, 0)[-1] = NO_EDGE
    return costs


def best_edges(costs):
    """Pairs of voxels that the tree of least cost joins, equal costs in the order of the edges."""
    voxels = np.arange(costs[0].size).reshape(costs.shape[1:])
    number = np.flatnonzero(costs != NO_EDGE)
    near, stride = number % voxels.size, np.array(voxels.strides) // voxels.itemsize
    far = near + stride[number // voxels.size]
    ends = near.astype(np.int32), far.astype(np.int32)  # as older versions of scipy must have them
    rank = np.empty(number.size)
    rank[np.argsort(costs.ravel()[number], kind="stable")] = 1 + np.arange(number.size)
    graph = scipy.sparse.coo_array((rank, ends), (voxels.size, voxels.size))
    return minimum_spanning_tree(graph.tocsr()).tocoo()


def unwrapped(phase, costs):
    return (phase + TURN * grow(phase, costs)).ravel()


@pytest.mark.parametrize("missing", [0.0, 0.7])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_phase_steps_by_less_than_half_a_turn_along_the_best_edges(shape, missing):
    rng = np.random.default_rng(0)
    phase, costs = wrapped_noise(shape, rng), edge_costs(shape, rng, missing=missing)
    tree = best_edges(costs)
    steps = unwrapped(phase, costs)[tree.row] - unwrapped(phase, costs)[tree.col]
    assert np.abs(steps).max(initial=0) < np.pi + 1e-5


def test_a_phase_of_many_turns_is_grown_through():
    phase = np.zeros((1, 1, 200), np.float32)
    phase[0, 0] = 2.5 * np.arange(200)
    costs = edge_costs(phase.shape, np.random.default_rng(0))
    wrapped = np.angle(np.exp(1j * phase)).astype(np.float32)
    np.testing.assert_allclose(unwrapped(wrapped, costs), phase.ravel(), atol=1e-3)


def test_the_first_voxel_of_each_piece_keeps_its_phase():
    rng, shape = np.random.default_rng(0), (7, 8, 9)
    phase, costs = wrapped_noise(shape, rng), edge_costs(shape, rng, missing=0.8)
    pieces, of_voxel = connected_components(best_edges(costs))
    assert pieces > 20
    _, first = np.unique(of_voxel, return_index=True)
    turns = grow(phase, costs)
    assert np.abs(turns).max() > 0
    np.testing.assert_array_equal(turns.ravel()[first], 0)


@pytest.mark.parametrize("missing", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kinds", [1, 3, 254])
def test_all_voxels_at_once_grow_as_one_after_the_other(device, shape, missing, kinds):
    rng = np.random.default_rng(0)
    phase = 3 * wrapped_noise(shape, rng)  # neighbours may differ by several turns
    costs = edge_costs(shape, rng, kinds, missing)
    got = grow(device(phase), device(costs))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got.get(), grow(phase, costs))
