from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.swi import swi
from tests.contrast.vein import LARMOR_HZ, TIMES_S, scene, vein

SHAPE, VOXEL = (30, 33, 31), (1.0, 1.0, 1.0)
INSIDE = vein(SHAPE, VOXEL)


def light(chi=0.3, shape=SHAPE, voxel_size=VOXEL, **how):
    """SWI relative to the magnitude, of a vein along B0."""
    echoes, mask = scene(shape, voxel_size, chi)
    found = swi(echoes, TIMES_S, mask, voxel_size, **how)
    return np.where(mask, found / np.maximum(np.abs(echoes[-1]), 1e-6), np.nan)


@pytest.mark.parametrize(("shape", "voxel_size"), [(SHAPE, VOXEL), ((21, 42, 25), (1.5, 0.8, 1.2))])
def test_a_paramagnetic_vein_along_b0_is_dark_and_a_diamagnetic_one_is_not(shape, voxel_size):
    core = vein(shape, voxel_size) & (scene(shape, voxel_size)[1])
    assert np.nanmax(light(0.3, shape, voxel_size)[core]) < 0.5
    np.testing.assert_allclose(light(-0.3, shape, voxel_size)[core], 1, atol=1e-5)


def test_of_a_vein_across_b0_the_rim_is_dark():
    echoes, mask = scene(SHAPE, VOXEL, across=True)
    found = swi(echoes, TIMES_S, mask, VOXEL) / np.maximum(np.abs(echoes[-1]), 1e-6)
    middle = SHAPE[0] // 2, SHAPE[1] // 2, SHAPE[2] // 2
    assert found[middle] == pytest.approx(1, abs=1e-5)
    assert found[middle[0], middle[1] + 4, middle[2]] < 0.5  # beside it along B0


def test_the_mask_falls_linearly_with_phase_and_is_multiplied():
    once, thrice = (light(multiplications=n) for n in (1, 3))
    wide = light(smoothing_mm=20.0, multiplications=1)
    phase = 2 * np.pi * LARMOR_HZ * 1e-6 * 0.1 * TIMES_S[-1]
    np.testing.assert_allclose(once**3, thrice, atol=1e-5)
    assert np.nanmean(wide[INSIDE]) == pytest.approx(1 - phase / np.pi, abs=0.05)


def test_a_slow_background_makes_no_difference_to_the_vein():
    echoes, mask = scene(SHAPE, VOXEL, background=0.003)
    found = swi(echoes, TIMES_S, mask, VOXEL) / np.maximum(np.abs(echoes[-1]), 1e-6)
    inner = mask & INSIDE
    np.testing.assert_allclose(found[inner], light()[inner], atol=0.05)


def test_a_constant_phase_makes_no_difference():
    echoes, mask = scene(SHAPE, VOXEL)
    turned = swi(echoes * np.complex64(np.exp(2j)), TIMES_S, mask, VOXEL)
    np.testing.assert_allclose(turned, swi(echoes, TIMES_S, mask, VOXEL), atol=1e-5)


def test_the_echo_nearest_to_the_time_asked_for_is_taken():
    echoes, mask = scene(SHAPE, VOXEL)
    first = swi(echoes, TIMES_S, mask, VOXEL, echo_time_s=0.006)
    np.testing.assert_array_equal(first, swi(echoes[:1], TIMES_S[:1], mask, VOXEL))
    last = swi(echoes, TIMES_S, mask, VOXEL)
    np.testing.assert_array_equal(last, swi(echoes[1:], TIMES_S[1:], mask, VOXEL))


def test_outside_the_mask_the_magnitude_stays_and_the_phase_has_no_say():
    echoes, mask = scene(SHAPE, VOXEL)
    broken = np.where(mask, echoes, 5 * np.exp(2j)).astype(np.complex64)
    found = swi(broken, TIMES_S, mask, VOXEL)
    np.testing.assert_allclose(found[~mask], 5, rtol=1e-6)
    nothing = np.where(mask, echoes, np.nan)
    for x in (found, swi(nothing, TIMES_S, mask, VOXEL)):
        np.testing.assert_array_equal(x[mask], swi(echoes, TIMES_S, mask, VOXEL)[mask])


def test_an_empty_mask_is_refused():
    echoes, mask = scene(SHAPE, VOXEL)
    with pytest.raises(ValueError, match="the mask is empty"):
        swi(echoes, TIMES_S, np.zeros_like(mask), VOXEL)


def test_it_agrees_on_a_device(device):
    echoes, mask = scene(SHAPE, VOXEL)
    found = swi(device(echoes), TIMES_S, device(mask), VOXEL)
    np.testing.assert_allclose(found.get(), swi(echoes, TIMES_S, mask, VOXEL), atol=1e-5)
