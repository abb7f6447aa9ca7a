from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.clear_swi import clear_swi
from tests.analytic import coordinates
from tests.contrast.vein import TIMES_S, scene, vein

SHAPE, VOXEL = (30, 33, 31), (1.0, 1.0, 1.0)


def noisy(shape=SHAPE, voxel_size=VOXEL, chi=0.3, **how):
    """Echoes and mask of a vein along B0, SNR 100."""
    echoes, mask = scene(shape, voxel_size, chi, **how)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, *echoes.shape)) * 0.01
    return (echoes + noise[0] + 1j * noise[1]).astype(np.complex64), mask


def contrast(image, mask, shape=SHAPE, voxel_size=VOXEL):
    """Mean within the vein relative to that of the tissue."""
    inside = vein(shape, voxel_size)
    return image[mask & inside].mean() / image[mask & ~inside].mean()


@pytest.mark.parametrize(("shape", "voxel_size"), [(SHAPE, VOXEL), ((21, 42, 25), (1.5, 0.8, 1.2))])
def test_a_paramagnetic_vein_is_dark_and_a_diamagnetic_one_is_not(shape, voxel_size):
    for chi, (least, most) in {0.3: (0, 0.4), -0.3: (1, 1.7)}.items():
        echoes, mask = noisy(shape, voxel_size, chi)
        found = clear_swi(echoes, TIMES_S, mask, voxel_size)
        assert least <= contrast(found, mask, shape, voxel_size) < most


def test_a_field_that_wraps_the_phase_leaves_the_vein_dark():
    echoes, mask = noisy(background=0.02)  # 2 pi over 20 voxels at the later echo
    assert contrast(clear_swi(echoes, TIMES_S, mask, VOXEL), mask) < 0.4


def test_a_stronger_mask_is_darker():
    echoes, mask = noisy()
    weak, strong = (
        contrast(clear_swi(echoes, TIMES_S, mask, VOXEL, strength=s), mask) for s in (0.5, 2.0)
    )
    assert strong < 0.8 * weak


def test_the_unit_of_the_signal_makes_no_difference():
    echoes, mask = noisy()
    np.testing.assert_allclose(
        clear_swi(1000 * echoes, TIMES_S, mask, VOXEL),
        clear_swi(echoes, TIMES_S, mask, VOXEL),
        atol=2e-3,
    )


def test_the_shading_of_coils_is_evened_out():
    shape, voxel_size = (30, 32, 34), (3.0, 3.0, 3.0)
    echoes, mask = noisy(shape, voxel_size, chi=0.0)
    shading = 1 + 0.012 * coordinates(shape, voxel_size)[1]
    found = clear_swi(echoes * shading, TIMES_S, mask, voxel_size)
    near, far = (found[:, half][mask[:, half]].mean() for half in (np.s_[:12], np.s_[-12:]))
    assert near / far == pytest.approx(1, abs=0.2)
    raw = [np.abs(echoes * shading)[:, :, half].mean() for half in (np.s_[:12], np.s_[-12:])]
    assert raw[0] < 0.5 * raw[1]


def test_outside_the_mask_the_phase_has_no_say_and_nan_stays_there():
    echoes, mask = noisy()
    expected = clear_swi(echoes, TIMES_S, mask, VOXEL)[mask]
    for outside in (0.2 * np.exp(2j), np.nan):
        other = np.where(mask, echoes, outside).astype(np.complex64)
        np.testing.assert_array_equal(clear_swi(other, TIMES_S, mask, VOXEL)[mask], expected)


def test_one_echo_is_enough():
    echoes, mask = noisy()
    found = clear_swi(echoes[1:], TIMES_S[1:], mask, VOXEL)
    assert contrast(found, mask) < 0.4
    assert found.dtype == np.float32


def test_an_empty_mask_is_refused():
    echoes, mask = noisy()
    with pytest.raises(ValueError, match="the mask is empty"):
        clear_swi(echoes, TIMES_S, np.zeros_like(mask), VOXEL)


def test_it_agrees_on_a_device(device):
    echoes, mask = noisy((15, 16, 17))
    found = clear_swi(device(echoes), TIMES_S, device(mask), VOXEL)
    np.testing.assert_allclose(found.get(), clear_swi(echoes, TIMES_S, mask, VOXEL), atol=1e-3)
