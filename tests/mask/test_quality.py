from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask.quality import NO_COHERENCE_RAD, WORST_USUAL_RAD, trusted

SHAPE = (6, 7, 9)
TISSUE = np.zeros(SHAPE, bool)
TISSUE[1:-1, 1:-1, 1:-1] = True


def some(value, spots, usual=0.05):
    """Residual of `usual` but for the voxels of x = `spots`."""
    residual = np.full(SHAPE, usual, np.float32)
    residual[..., spots] = value
    return residual


def test_what_is_worse_than_usual_by_more_than_the_limit_is_not_trusted():
    got = trusted(some(0.36, [2]), TISSUE, largest_residual_rad=0.3)
    assert not got[..., 2].any()
    np.testing.assert_array_equal(got[..., 3:], TISSUE[..., 3:])


def test_noise_that_all_tissue_has_is_no_reason_for_distrust():
    noisy = some(0.55, [2, 5], usual=0.3)
    assert trusted(noisy, TISSUE, largest_residual_rad=0.3)[TISSUE].all()


def test_where_no_tissue_has_a_phase_nothing_is_trusted():
    hopeless = some(1.2, [3], usual=WORST_USUAL_RAD + 0.31)
    assert not trusted(hopeless, TISSUE, largest_residual_rad=0.3).any()


def test_what_is_usual_is_judged_in_the_tissue_alone():
    residual = np.where(TISSUE, some(0.4, [2]), 1.7)
    got = trusted(residual, TISSUE, largest_residual_rad=0.3)
    assert not got[..., 2].any()
    assert got[1:-1, 1:-1, 3:-1].all()


def test_a_poor_quality_adds_to_the_residual():
    quality = np.full(SHAPE, 0.9, np.float32)
    quality[..., 2] = 0.9 - 0.2 / NO_COHERENCE_RAD
    residual = some(0.2, [2, 4])
    expected = TISSUE.copy()
    expected[..., 2] = False
    got = trusted(residual, TISSUE, largest_residual_rad=0.3, quality=quality)
    np.testing.assert_array_equal(got, expected)
    without = trusted(residual, TISSUE, largest_residual_rad=0.3)
    np.testing.assert_array_equal(without, TISSUE)


def test_of_a_residual_that_is_nowhere_a_number_nothing_is_trusted():
    nowhere = np.full(SHAPE, np.nan, np.float32)
    assert not trusted(nowhere, TISSUE, largest_residual_rad=0.3).any()


def test_what_is_not_a_number_is_not_trusted_and_has_no_say():
    got = trusted(some(np.nan, [2, 3, 4, 5]), TISSUE, largest_residual_rad=0.3)
    expected = TISSUE.copy()
    expected[..., 2:6] = False
    np.testing.assert_array_equal(got, expected)


def test_no_tissue_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        trusted(some(0.1, []), np.zeros(SHAPE, bool), largest_residual_rad=0.3)


def test_on_a_device_the_same_is_trusted(device):
    residual = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    got = trusted(
        device(residual), device(TISSUE), largest_residual_rad=0.1, quality=device(residual)
    )
    expected = trusted(residual, TISSUE, largest_residual_rad=0.1, quality=residual)
    np.testing.assert_array_equal(to_numpy(got), expected)
