"""What streaks reads as, of maps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.streaking import streaking
from gadgetron_qsm.inversion.tkd import tkd
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE, ball

GRIDS = [((48, 50, 52), (1.0, 1.0, 1.0)), ((30, 44, 46), (1.5, 1.0, 1.0))]
SHAPE, VOXEL = GRIDS[0]
MASK = ball(SHAPE, VOXEL, 21)
NOISE_PPM = 0.004


def anatomy(shape=SHAPE, voxel_size=VOXEL):
    """Blobs of all sizes that no direction is special to, and the ball they lie in."""
    rng = np.random.default_rng(7)
    mask = ball(shape, voxel_size, 21)
    chi = np.zeros(shape)
    for radius in (1.5, 2, 3, 4, 6) * 6:
        at = rng.uniform(-13, 13, 3)
        chi += rng.uniform(-0.1, 0.1) * ball(shape, voxel_size, radius, at)
    return np.where(mask, chi, 0).astype(np.float32), mask


def field(noise_ppm=NOISE_PPM, b0=OBLIQUE):
    chi, mask = anatomy()
    kernel = dipole_kernel(SHAPE, VOXEL, b0, like=chi)
    noise = noise_ppm * np.random.default_rng(3).standard_normal(SHAPE)
    return np.where(mask, filtered(chi - chi[mask].mean() * mask, kernel) + noise, 0).astype("f4")


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_a_true_map_has_as_much_near_the_cone_as_elsewhere(shape, voxel_size, b0):
    chi, mask = anatomy(shape, voxel_size)
    assert streaking(chi, mask, voxel_size, b0) == pytest.approx(1, abs=0.15)


def test_it_is_the_amplitude_near_the_cone_in_the_shells_and_nothing_else():
    shape, voxel_size = (48, 50, 54), (1.0, 1.2, 1.5)
    white = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    response = np.abs(dipole_kernel(shape, voxel_size, OBLIQUE, like=white))
    axes = [np.fft.fftfreq(n, size) for n, size in zip(shape, voxel_size, strict=True)]
    axes[2] = np.fft.rfftfreq(shape[2], voxel_size[2])
    k = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))) * 2 * max(voxel_size)
    inside = (k > 0.29) & (k < 0.96)
    gain = np.where(inside & (response < 0.08), 3.0, 1.0)
    gain[inside & (response > 0.081) & (response < 0.199)] = 10
    gain[~inside & (response < 0.08)] = 10
    chi = filtered(white, gain.astype(np.float32))
    everywhere = np.ones(shape, bool)
    assert streaking(white, everywhere, voxel_size, OBLIQUE) == pytest.approx(1, rel=0.03)
    assert streaking(chi, everywhere, voxel_size, OBLIQUE) == pytest.approx(3, rel=0.03)


def test_division_by_less_of_the_dipole_streaks_more():
    found = [
        streaking(tkd(field(), MASK, VOXEL, OBLIQUE, threshold=t), MASK, VOXEL, OBLIQUE)
        for t in (0.3, 0.2, 0.1, 0.05, 0.03)
    ]
    assert (np.diff(found) > 0).all()
    assert found[0] < 1 < found[-2]
    assert found[-1] > 3 * found[0]


def test_a_small_threshold_streaks_more_than_total_variation():
    by_tv = streaking(tv(field(), MASK, VOXEL, OBLIQUE), MASK, VOXEL, OBLIQUE)
    by_tkd = tkd(field(), MASK, VOXEL, OBLIQUE, threshold=0.05)
    assert streaking(by_tkd, MASK, VOXEL, OBLIQUE) > 1.5 * by_tv


def test_less_regularisation_streaks_more():
    found = [
        streaking(tv(field(), MASK, VOXEL, OBLIQUE, regularisation=r), MASK, VOXEL, OBLIQUE)
        for r in (3e-4, 3e-5, 3e-6)
    ]
    assert (np.diff(found) > 0).all()


def test_noise_streaks():
    found = [
        streaking(tkd(field(noise), MASK, VOXEL, OBLIQUE), MASK, VOXEL, OBLIQUE)
        for noise in (0, NOISE_PPM, 2 * NOISE_PPM)
    ]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0)])
def test_the_cone_is_that_of_the_scans_own_field(b0):
    other = (0.0, 1.0, 0.0)
    streaks = tkd(field(b0=b0), MASK, VOXEL, b0, threshold=0.03)
    assert streaking(streaks, MASK, VOXEL, b0) > 1.5 * streaking(streaks, MASK, VOXEL, other)


def test_scale_reference_and_what_lies_outside_the_mask_do_not_matter():
    chi = tkd(field(), MASK, VOXEL, OBLIQUE)
    found = streaking(chi, MASK, VOXEL, OBLIQUE)
    other = np.where(MASK, 1000 * chi + 70, np.nan).astype(np.float32)
    assert streaking(other, MASK, VOXEL, OBLIQUE) == pytest.approx(found, rel=1e-3)


def test_smoothing_alone_streaks_little():
    chi = scipy.ndimage.gaussian_filter(anatomy()[0], 0.7)
    assert streaking(chi, MASK, VOXEL, OBLIQUE) == pytest.approx(1, abs=0.2)


def test_a_mask_of_a_few_voxels_or_a_map_of_one_value_has_no_figure():
    chi, few = anatomy()[0], np.zeros(SHAPE, bool)
    few[20:22, 20:22, 20:22] = True
    assert streaking(chi, few, VOXEL, OBLIQUE) is None
    assert streaking(np.zeros_like(chi), MASK, VOXEL, OBLIQUE) is None


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        streaking(anatomy()[0], np.zeros(SHAPE, bool), VOXEL, OBLIQUE)


def test_it_agrees_on_a_device(device):
    chi = tkd(field(), MASK, VOXEL, OBLIQUE)
    found = streaking(device(chi), device(MASK), VOXEL, OBLIQUE)
    assert found == pytest.approx(streaking(chi, MASK, VOXEL, OBLIQUE), rel=1e-4)
