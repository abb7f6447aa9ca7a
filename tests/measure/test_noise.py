from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.measure.noise import deviation, field_noise, image_noise, noise_samples

TIMES_S, LARMOR_HZ = (0.004, 0.012, 0.020, 0.028), 123.2e6
SHAPE, SIGMA = (20, 24, 22), 0.02


@pytest.fixture
def echoes():
    """A field of 0.01 ppm with noise; the signal decays, and is weaker to one side."""
    rng = np.random.default_rng(2)
    size = np.linspace(0.5, 1, SHAPE[2]) * np.ones(SHAPE)
    times = np.reshape(TIMES_S, (-1, 1, 1, 1))
    clean = size * np.exp((-25 + 2j * np.pi * 0.01e-6 * LARMOR_HZ) * times)
    noise = rng.standard_normal((*clean.shape, 2)) @ [1, 1j]
    return (clean + SIGMA * noise).astype(np.complex64)


def fitted(echoes, *, offset=False):
    return weighted_echo_fit(np.angle(echoes), np.abs(echoes), TIMES_S, LARMOR_HZ, offset=offset)


@pytest.mark.parametrize("offset", [False, True])
def test_noise_of_the_images_is_told_from_the_residual_of_the_fit(echoes, offset):
    residual, everywhere = fitted(echoes, offset=offset).residual, np.ones(SHAPE, bool)
    found = image_noise(residual, np.abs(echoes), everywhere, fitted=1 + offset)
    assert found == pytest.approx(SIGMA, rel=0.03)


def test_noise_of_a_single_echo_is_told_from_neighbours(echoes):
    one = echoes[:1]
    residual = weighted_echo_fit(np.angle(one), np.abs(one), TIMES_S[:1], LARMOR_HZ).residual
    found = image_noise(residual, np.abs(one), np.ones(SHAPE, bool))
    assert found == pytest.approx(SIGMA, rel=0.1)


def test_veins_have_no_say_in_the_noise_of_the_images(echoes):
    residual = fitted(echoes).residual
    residual[:, :2] = 3.0
    found = image_noise(residual, np.abs(echoes), np.ones(SHAPE, bool))
    assert found == pytest.approx(SIGMA, rel=0.15)


def test_noise_without_a_voxel_is_refused(echoes):
    with pytest.raises(ValueError, match="the mask is empty"):
        image_noise(np.zeros(SHAPE), np.abs(echoes), np.zeros(SHAPE, bool))


def test_a_fit_that_leaves_no_noise_is_refused(echoes):
    with pytest.raises(ValueError, match="2 numbers fitted to 2 echoes"):
        image_noise(np.zeros(SHAPE), np.abs(echoes[:2]), np.ones(SHAPE, bool), fitted=2)


def test_noise_of_the_field_is_what_its_fit_shows(echoes):
    found = field_noise(np.abs(echoes), SIGMA, TIMES_S, LARMOR_HZ)
    off = 1000 * (fitted(echoes).total_field - 0.01) / found
    assert off.std() == pytest.approx(1, rel=0.03)
    assert found[..., 0].mean() > 1.8 * found[..., -1].mean()


def test_samples_have_the_noise_that_repeated_scans_have():
    """A map that shares noise of neighbours, and whose gain differs from place to place."""
    gain = np.linspace(1, 3, SHAPE[0]).reshape(-1, 1, 1)
    mask = np.zeros(SHAPE, bool)
    mask[2:-2, 2:-2, 2:-2] = True

    def remake(echoes):
        return gain * scipy.ndimage.gaussian_filter(echoes[0].imag, 1.0, mode="wrap"), mask

    rng = np.random.default_rng(8)
    scan = np.zeros((1, *SHAPE), np.complex64)
    repeated = [
        remake((SIGMA * (rng.standard_normal((1, *SHAPE, 2)) @ [1, 1j])).astype(np.complex64))[0]
        for _ in range(200)
    ]
    samples = noise_samples(scan, SIGMA, remake, samples=6)
    assert samples.shape == (6, *SHAPE)
    assert not samples[:, ~mask].any()
    true, found = np.std(repeated, axis=0), deviation(samples, mask, (2.0, 2.0, 2.0))
    assert not found[~mask].any()
    for part in (slice(2, 6), slice(-6, -2)):
        inner = (part, slice(2, -2), slice(2, -2))
        assert found[inner].mean() == pytest.approx(true[inner].mean(), rel=0.1)


def test_only_where_all_maps_hold_there_are_samples():
    held = iter([(0, slice(0, 3)), (0, slice(1, 4))])

    def remake(echoes):
        mask = np.zeros(echoes.shape[1:], bool)
        mask[next(held)] = True
        return np.where(mask, echoes[0].real, 0), mask

    samples = noise_samples(np.zeros((1, 1, 4, 5), np.complex64), 1.0, remake, samples=2)
    assert (samples != 0).all(axis=(0, 1, 3)).tolist() == [False, True, True, False]


def test_noise_that_differs_from_place_to_place_is_added_so():
    level = np.zeros(SHAPE)
    level[..., 11:] = 2.0
    everywhere = np.ones(SHAPE, bool)
    samples = noise_samples(
        np.zeros((1, *SHAPE), np.complex64), level, lambda echoes: (echoes[0].real, everywhere)
    )
    assert not samples[..., :11].any()
    assert samples[..., 11:].std() == pytest.approx(2, rel=0.05)


def test_one_sample_is_refused():
    with pytest.raises(ValueError, match="1 samples tell nothing"):
        noise_samples(np.zeros((1, 2, 2, 2), np.complex64), 1.0, lambda e: (e, e), samples=1)
