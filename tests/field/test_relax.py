from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.relax import relax

TURN = 2 * np.pi
SHAPE = (7, 8, 9)


def smooth():
    return (0.3 * np.indices(SHAPE).sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("turn", [-1, 1])
def test_a_voxel_off_by_a_turn_is_turned_back(turn):
    phase = smooth()
    phase[3, 4, 5] += turn * TURN
    relax(phase, np.ones(SHAPE, np.float32), 3)
    np.testing.assert_allclose(phase, smooth(), atol=1e-5)


@pytest.mark.parametrize("corner", [(0, 0, 0), (-1, -1, -1), (0, -1, 3)])
def test_so_is_one_at_the_end_of_the_grid(corner):
    phase = smooth()
    phase[corner] += TURN
    relax(phase, np.ones(SHAPE, np.float32), 3)
    np.testing.assert_allclose(phase, smooth(), atol=1e-5)


def test_a_voxel_off_by_turns_takes_as_many_sweeps():
    phase = smooth()
    phase[3, 4, 5] += 3 * TURN
    assert relax(phase.copy(), np.ones(SHAPE, np.float32), 2) == 1
    assert relax(phase, np.ones(SHAPE, np.float32), 4) == 0
    np.testing.assert_allclose(phase, smooth(), atol=1e-5)


def test_where_no_weight_is_nothing_is_turned():
    phase, weight = smooth(), np.ones(SHAPE, np.float32)
    phase[3, 4, 5] += TURN
    weight[3, 4, 5] = 0
    before = phase.copy()
    relax(phase, weight, 3)
    np.testing.assert_array_equal(phase, before)


def test_a_jump_that_turning_would_only_move_stays():
    phase = np.zeros(SHAPE, np.float32)
    phase[:, :, 5:] = 4
    before = phase.copy()
    assert relax(phase, np.ones(SHAPE, np.float32), 3) == 0
    np.testing.assert_array_equal(phase, before)


def test_bright_neighbours_have_more_say_than_dim_ones():
    phase, weight = np.zeros((2, 3, 3, 3), np.float32)
    before, behind = [(0, 1, 1), (1, 0, 1), (1, 1, 0)], [(2, 1, 1), (1, 2, 1)]
    for voxel in [*before, (1, 1, 1)]:
        phase[voxel], weight[voxel] = TURN, 0.3
    for voxel in [*behind, (1, 1, 1)]:
        weight[voxel] = 1
    relax(phase, weight, 1)
    assert phase[1, 1, 1] == pytest.approx(0, abs=1e-5)


def broken_phase(rng, shape=SHAPE):
    """A smooth phase, every tenth voxel of which is off by turns, weights that are often equal."""
    phase = (0.4 * np.indices(shape).sum(axis=0)).astype(np.float32)
    phase += (TURN * rng.integers(-2, 3, shape) * (rng.random(shape) < 0.1)).astype(np.float32)
    phase += rng.normal(scale=0.5, size=shape).astype(np.float32)
    return phase, rng.choice([0, 0.2, 1], shape).astype(np.float32)


def jumps(phase, weight):
    """Weighted sum of what lies between neighbours."""
    total = 0.0
    for axis in range(3):
        p, w = np.moveaxis(phase, axis, 0).astype(float), np.moveaxis(weight, axis, 0)
        total += (np.minimum(w[1:], w[:-1]) * np.abs(p[1:] - p[:-1])).sum()
    return total


def test_every_sweep_leaves_less_jumps_as_long_as_voxels_turn():
    phase, weight = broken_phase(np.random.default_rng(0))
    before, turned = jumps(phase, weight), 1
    sweeps = 0
    while turned:
        turned = relax(phase, weight, 1)
        after = jumps(phase, weight)
        assert after < before - 1e-3 or (turned == 0 and after == before)
        before, sweeps = after, sweeps + 1
    assert sweeps > 2


def test_sweeps_at_once_are_those_one_by_one():
    """So that only those are visited who may turn makes no difference."""
    phase, weight = broken_phase(np.random.default_rng(1))
    at_once = phase.copy()
    relax(at_once, weight, 50)
    while relax(phase, weight, 1):
        pass
    np.testing.assert_array_equal(at_once, phase)


@pytest.mark.parametrize("shape", [SHAPE, (1, 6, 11), (12, 1, 1)])
@pytest.mark.parametrize("sweeps", [1, 2, 20])
def test_all_voxels_of_a_colour_at_once_are_mended_as_one_after_the_other(device, shape, sweeps):
    phase, weight = broken_phase(np.random.default_rng(2), shape)
    there = device(phase)
    assert relax(there, device(weight), sweeps) == relax(phase, weight, sweeps)
    np.testing.assert_array_equal(there.get(), phase)
