from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gadgetron_qsm.coils.sensitivities import relative_sensitivities
from tests.analytic import ball, coordinates

VOXEL = (2.0, 1.5, 1.8)


def reference(shape, seed=0):
    """An object of any texture and phase, nothing around it."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(0.3, 1, shape) * np.exp(2j * np.pi * rng.random(shape))
    return (texture * ball(shape, VOXEL, 20)).astype(np.complex64)


def linear(shape):
    """Complex sensitivities of two coils that are linear in space."""
    z, y, x = coordinates(shape, VOXEL)
    return np.stack([1 + 0.02 * x - 0.03j * y, 0.5j + 0.01 * z - 0.02j * x]).astype(np.complex64)


@pytest.mark.parametrize("shape", [(23, 28, 31), (24, 27, 26)], ids=["odd", "even"])
@pytest.mark.parametrize("smoothing_mm", [4.0, 9.0])
def test_linear_sensitivities_come_back_up_to_the_rim(shape, smoothing_mm):
    ref, truth = reference(shape), linear(shape)
    found = relative_sensitivities(truth * ref, ref, VOXEL, smoothing_mm=smoothing_mm)
    assert np.abs(found - truth)[:, ref != 0].max() < 0.03


def test_a_single_slice_has_sensitivities_too():
    ref, truth = reference((1, 28, 31)), linear((1, 28, 31))
    found = relative_sensitivities(truth * ref, ref, VOXEL, smoothing_mm=6.0)
    assert np.abs(found - truth)[:, ref != 0].max() < 0.03


def test_a_plane_wave_is_damped_as_a_gaussian_of_as_many_mm_damps_it_along_every_axis():
    shape, voxel_size, steepness = (31, 25, 61), (2.0, 2.5, 1.0), 0.12
    waves = np.exp(1j * steepness * coordinates(shape, voxel_size)).astype(np.complex64)
    ones = np.ones(shape, np.complex64)
    found = relative_sensitivities(waves, ones, voxel_size, smoothing_mm=5.0)
    middle = np.abs(found[:, 15, 12, 30])  # a point of the fit
    np.testing.assert_allclose(middle, np.exp(-((5 * steepness) ** 2) / 2), rtol=0.01)


def test_phases_in_between_the_points_of_the_fit_are_right():
    shape = (5, 5, 80)
    _, _, x = coordinates(shape, VOXEL)
    wave = np.exp(0.05j * x).astype(np.complex64)
    found = relative_sensitivities(wave[None], np.ones_like(wave), VOXEL, smoothing_mm=8.0)
    assert np.abs(np.angle(found[0] * wave.conj()))[..., 8:-8].max() < 0.005


def test_noise_is_averaged_over_the_gaussian():
    rng = np.random.default_rng(0)
    shape, sigma = (24, 24, 24), 2.5
    noise = rng.normal(scale=np.sqrt(0.5), size=(2, 8, *shape)) @ np.eye(shape[2])
    images = (1 + noise[0] + 1j * noise[1]).astype(np.complex64)
    found = relative_sensitivities(
        images, np.ones(shape, np.complex64), (1, 1, 1), smoothing_mm=sigma
    )
    inside = (found - 1)[:, 8:-8, 8:-8, 8:-8]
    expected = (4 * np.pi * sigma**2) ** -0.75  # norm of the Gaussian
    assert np.sqrt((np.abs(inside) ** 2).mean()) < 1.1 * expected


def test_images_are_only_read():
    ref, truth = reference((9, 10, 11)), linear((9, 10, 11))
    images = truth * ref
    images.flags.writeable = ref.flags.writeable = False
    assert relative_sensitivities(images, ref, VOXEL, smoothing_mm=6.0).shape == images.shape


def test_nothing_is_found_where_nothing_is():
    nothing = np.zeros((3, 6, 7, 8), np.complex64)
    found = relative_sensitivities(nothing, nothing[0], VOXEL, smoothing_mm=6.0)
    np.testing.assert_array_equal(found, 0)


def test_64_coils_need_little_more_memory_than_their_sensitivities():
    ref = reference((24, 32, 32))
    images = np.broadcast_to(ref, (64, *ref.shape))
    tracemalloc.start()
    found = relative_sensitivities(images, ref, VOXEL, smoothing_mm=6.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - found.nbytes < 6 * ref.nbytes
