from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask.two_pass import merged, reliable
from tests.analytic import ball

SHAPE, VOXEL = (31, 32, 33), (2.0, 2.5, 2.0)
BRAIN = ball(SHAPE, VOXEL, 26)
BLEED = ball(SHAPE, VOXEL, 5, (4, -5, 6))
CALCIFIED = ball(SHAPE, VOXEL, 4, (-8, 5, -6))


def scanned(dark=0.1, bad=0.8):
    """Magnitude with a dark bleed, and residual with a calcification that no field explains."""
    magnitude = np.where(BLEED, dark, np.where(BRAIN, 1.0, 0.02)).astype(np.float32)
    return magnitude, np.where(CALCIFIED, bad, 0.05).astype(np.float32)


def test_the_first_pass_leaves_out_what_is_dark_and_what_has_no_phase():
    magnitude, residual = scanned()
    got = reliable(BRAIN, magnitude, residual, VOXEL)
    np.testing.assert_array_equal(got, BRAIN & ~BLEED & ~CALCIFIED)


def test_what_is_trusted_is_up_to_the_caller():
    magnitude, residual = scanned(dark=1.0)
    got = reliable(BRAIN, magnitude, residual, VOXEL, largest_residual_rad=1.0)
    np.testing.assert_array_equal(got, BRAIN)


def test_a_mask_without_any_phase_is_refused():
    magnitude, _ = scanned()
    with pytest.raises(ValueError, match="no voxel of the mask"):
        reliable(BRAIN, magnitude, np.full(SHAPE, 1.5, np.float32), VOXEL)


def passes():
    rng = np.random.default_rng(0)
    chi = rng.normal(0, 0.03, (2, *SHAPE)).astype(np.float32)
    chi[1] += 0.4
    return chi[0], BRAIN & ~BLEED, chi[1], BRAIN


def test_the_second_pass_fills_only_what_the_first_leaves_out():
    first, sure, second, whole = passes()
    chi, valid = merged(first, sure, second, whole)
    np.testing.assert_array_equal(valid, BRAIN)
    np.testing.assert_array_equal(chi[sure], first[sure])
    assert not chi[~BRAIN].any()


def test_the_second_pass_is_moved_to_the_reference_of_the_first():
    first, sure, second, whole = passes()
    chi, _ = merged(first, sure, second, whole)
    shift = (second[sure] - first[sure]).mean()
    np.testing.assert_allclose(chi[BLEED], second[BLEED] - shift, atol=1e-6)


def test_what_lies_outside_either_mask_has_no_say():
    first, sure, second, whole = passes()
    expected, _ = merged(first, sure, second, whole)
    chi, _ = merged(np.where(sure, first, np.nan), sure, np.where(whole, second, np.nan), whole)
    np.testing.assert_array_equal(chi, expected)


def test_what_only_the_first_pass_holds_stays():
    first, sure, second, whole = passes()
    corner = ball(SHAPE, VOXEL, 6, (20, 0, 0)) & BRAIN
    chi, valid = merged(first, sure, second, whole & ~corner)
    np.testing.assert_array_equal(valid, BRAIN)
    np.testing.assert_array_equal(chi[corner], first[corner])


def test_passes_that_share_nothing_are_refused():
    first, _, second, _ = passes()
    with pytest.raises(ValueError, match="no voxel in common"):
        merged(first, BLEED, second, CALCIFIED)


def test_on_a_device_both_steps_are_the_same(device):
    magnitude, residual = scanned()
    got = reliable(device(BRAIN), device(magnitude), device(residual), VOXEL)
    np.testing.assert_array_equal(to_numpy(got), reliable(BRAIN, magnitude, residual, VOXEL))
    chi, valid = merged(*map(device, passes()))
    expected, expected_valid = merged(*passes())
    np.testing.assert_allclose(to_numpy(chi), expected, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(valid), expected_valid)
