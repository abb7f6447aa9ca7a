from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.grow import relax

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
