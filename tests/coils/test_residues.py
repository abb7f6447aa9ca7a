from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.residues import phase_residues, plain
from tests.analytic import coordinates

SHAPE = (9, 12, 15)
EVERYWHERE = np.ones(SHAPE, bool)


def whirl(axis, at=(0.5, 0.5)):
    """Phase that winds once round a line along an axis."""
    first, second = np.delete(coordinates(SHAPE, (1, 1, 1)), axis, axis=0)
    return (first - at[0]) + 1j * (second - at[1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_line_that_the_phase_winds_round_is_a_residue_in_every_plane_across(axis):
    assert phase_residues(whirl(axis), EVERYWHERE) == SHAPE[axis]


def test_residues_of_either_sense_count():
    pair = whirl(0, (-1.5, 2.5)) * whirl(0, (2.5, 2.5)).conj()
    assert phase_residues(pair, EVERYWHERE) == 2 * SHAPE[0]


def test_a_smooth_phase_has_none_however_often_it_wraps():
    z, y, x = coordinates(SHAPE, (1, 1, 1))
    image = np.exp(1j * (2.5 * x - 0.2 * y**2 + 1.9 * z))
    assert phase_residues(image, EVERYWHERE) == 0


def test_a_loop_counts_only_with_all_four_voxels_in_the_mask():
    for voxel in [(4, 6), (4, 7), (5, 6), (5, 7)]:  # (y, x) is (-2..-1, -1..0) from the centre
        mask = EVERYWHERE.copy()
        mask[:, voxel[0], voxel[1]] = False
        assert phase_residues(whirl(0, (-1.5, -0.5)), mask) == 0
    assert phase_residues(whirl(0, (-1.5, -0.5)), EVERYWHERE) == SHAPE[0]


def test_of_loops_of_random_phase_one_in_three_is_a_residue():
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 30, 40))
    loops = 20 * 29 * 39 + 19 * 30 * 39 + 19 * 29 * 40
    found = phase_residues(np.exp(1j * phase), np.ones(phase.shape, bool))
    assert found / loops == pytest.approx(1 / 3, rel=0.02)


def test_a_single_slice_is_counted():
    assert phase_residues(whirl(0)[:1], EVERYWHERE[:1]) == 1


@pytest.mark.parametrize(
    "shape", [(6, 7, 9), (1, 7, 9), (6, 1, 9), (6, 7, 1), (1, 1, 5), (2, 2, 2)]
)
def test_the_compiled_count_is_that_of_arrays(shape):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    image[rng.random(shape) < 0.1] = 0
    mask = rng.random(shape) < 0.9
    assert phase_residues(image, mask) == plain(image, mask)


def test_an_image_may_lie_in_memory_in_any_order():
    image = np.moveaxis(np.ascontiguousarray(np.moveaxis(whirl(1), 0, 2)), 2, 0)
    assert phase_residues(image, np.asfortranarray(EVERYWHERE)) == SHAPE[1]
