from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.tkd import tkd
from tests.analytic import OBLIQUE
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, contrast

GRID, SIDES = (20, 18, 16), (1.0, 1.5, 1.2)
UP = (1.0, 0.0, 0.0)  # for which D(k) = D(-k) on even grids too
WHOLE = np.ones(GRID, bool)
KERNEL = dipole_kernel(GRID, SIDES, OBLIQUE, like=WHOLE)


def random_chi():
    chi = np.random.default_rng(0).standard_normal(GRID).astype(np.float32)
    return chi, scipy.fft.irfftn(KERNEL * scipy.fft.rfftn(chi), s=GRID)


def inverted(field, **how):
    how = {"threshold": 0.2, "correct": False, "padding_mm": 0.0, **how}
    return tkd(field, WHOLE, SIDES, OBLIQUE, **how)


def inner(spectrum):
    """Without planes that hold frequencies and their negatives, where D may differ."""
    return spectrum[1:10][:, 1:9, 1:8]


def test_above_the_threshold_the_field_is_divided_exactly():
    chi, field = random_chi()
    ratio = inner(scipy.fft.rfftn(inverted(field)) / scipy.fft.rfftn(chi))
    clear = np.abs(inner(KERNEL)) > 0.2
    assert clear.any()
    np.testing.assert_allclose(ratio[clear], 1, atol=1e-4)


def test_below_the_threshold_the_field_is_divided_by_it_with_the_sign_of_the_kernel():
    chi, field = random_chi()
    ratio = inner(scipy.fft.rfftn(inverted(field)) / scipy.fft.rfftn(chi))
    small = np.abs(inner(KERNEL)) < 0.2
    assert (inner(KERNEL)[small] < 0).any()
    np.testing.assert_allclose(ratio[small], np.abs(inner(KERNEL))[small] / 0.2, atol=1e-4)


@pytest.mark.parametrize("grid", [(20, 18, 16), (20, 18, 48)])
def test_corrected_a_voxel_keeps_its_value(grid):
    chi = np.zeros(grid, np.float32)
    chi[8, 9, 7] = 1
    kernel = dipole_kernel(grid, SIDES, UP, like=chi)
    field = scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=grid)
    whole, how = np.ones(grid, bool), {"threshold": 0.2, "padding_mm": 0.0}
    assert tkd(field, whole, SIDES, UP, **how)[8, 9, 7] == pytest.approx(1, rel=1e-4)
    assert tkd(field, whole, SIDES, UP, correct=False, **how)[8, 9, 7] < 0.85


def test_a_larger_threshold_gives_less_contrast_unless_corrected():
    low, high = (tkd(FIELD, MASK, VOXEL, OBLIQUE, threshold=t, correct=False) for t in (0.1, 0.3))
    assert contrast(high) < 0.85 * contrast(low)
    mended = tkd(FIELD, MASK, VOXEL, OBLIQUE, threshold=0.3)
    assert contrast(mended) == pytest.approx(contrast(low), rel=0.1)


def test_a_larger_threshold_lets_less_noise_through():
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    low, high = (tkd(noise, MASK, VOXEL, OBLIQUE, threshold=t)[MASK].std() for t in (0.1, 0.3))
    assert high < 0.8 * low


@pytest.mark.parametrize("threshold", [0.0, -0.1, 2 / 3, float("nan")])
def test_a_threshold_that_the_kernel_never_has_is_refused(threshold):
    with pytest.raises(ValueError, match="must lie between 0 and 2/3"):
        tkd(FIELD, MASK, VOXEL, OBLIQUE, threshold=threshold)
