from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gadgetron_qsm.coils.espirit import espirit
from gadgetron_qsm.kspace.fourier import centred_fft

COILS, NX = 6, 9


def grid(nz, ny):
    """Coordinates (z, y, x) from -1 to 1; 0 along an axis of one."""
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (nz, ny, NX)]
    return np.meshgrid(*axes, indexing="ij")


def true_maps(nz, ny):
    """Sensitivities (coil, z, y, x) of unit norm: a ring of coils around x, each with its phase."""
    z, y, x = grid(nz, ny)
    maps = [
        np.exp(-0.6 * ((z - np.cos(a)) ** 2 + (y - np.sin(a)) ** 2) + 1j * (0.4 * a * z + y + x))
        for a in 2 * np.pi * np.arange(COILS) / COILS
    ]
    return np.array(maps) / np.linalg.norm(maps, axis=0)


def ball(nz, ny, radius=0.7):
    z, y, x = grid(nz, ny)
    return z**2 + y**2 + x**2 < radius**2


def calibration(nz, ny, lines, turn=0.0, noise=0.0):
    """The centre of hybrid space of a textured ball, and the sensitivities it was made with."""
    z, y, x = grid(nz, ny)
    image = ball(nz, ny) * (1 + 0.4 * np.cos(5 * y) * np.sin(4 * z + x)) * np.exp(1j * turn * y)
    maps = true_maps(nz, ny)
    kspace = centred_fft((30 * maps * image).astype(np.complex64), axes=[1, 2])
    real, imag = np.random.default_rng(1).normal(scale=np.sqrt(0.5), size=(2, *kspace.shape))
    kspace += (noise * (real + 1j * imag)).astype(np.complex64)
    first = [n // 2 - min(lines, n) // 2 for n in (nz, ny)]
    centre = kspace[:, first[0] : first[0] + lines, first[1] : first[1] + lines]
    return np.ascontiguousarray(centre), maps


def likeness(estimated, maps, where):
    """Magnitude of the inner product over the coils: 1 for the same up to a common phase."""
    return np.abs((estimated.conj() * maps).sum(axis=0))[where]


@pytest.mark.parametrize("lines", [16, 15])
@pytest.mark.parametrize(("nz", "ny"), [(32, 40), (33, 41), (1, 40), (70, 36)])
def test_maps_are_the_sensitivities_up_to_a_phase_that_all_coils_share(nz, ny, lines):
    centre, maps = calibration(nz, ny, lines)
    estimated = espirit(centre, (nz, ny))
    assert estimated.shape == maps.shape
    assert estimated.dtype == np.complex64
    assert likeness(estimated, maps, ball(nz, ny)).min() > 0.995


@pytest.mark.parametrize("told", [1.0, 0.0], ids=["known", "unknown"])
def test_maps_are_the_sensitivities_when_the_receivers_are_noisy(told):
    centre, maps = calibration(32, 40, 16, noise=1.0)
    estimated = espirit(centre, (32, 40), noise=told)
    assert likeness(estimated, maps, ball(32, 40, 0.6)).min() > 0.98


@pytest.mark.parametrize("shape", [(32, 40), (1, 40)], ids=["volume", "slice"])
def test_noise_that_nobody_told_is_found_though_a_coil_is_not_connected(shape):
    centre, _ = calibration(*shape, 16, noise=2.0)
    centre = np.insert(centre, 3, 0, axis=0)
    told, found = (espirit(centre, shape, noise=noise) for noise in (2.0, 0.0))
    np.testing.assert_allclose(found[3], 0, atol=1e-5)
    told, found = (np.linalg.norm(maps, axis=0) > 0 for maps in (told, found))
    assert (told != found).mean() < 0.05
    assert 0.2 < found.mean() < 0.8  # taken for signal, noise would be seen everywhere


def test_maps_have_unit_norm_where_there_is_signal_and_are_0_far_from_it():
    centre, _ = calibration(32, 40, 16)
    norm = np.linalg.norm(espirit(centre, (32, 40)), axis=0)
    np.testing.assert_allclose(norm[ball(32, 40)], 1, atol=1e-5)
    np.testing.assert_allclose(norm[norm != 0], 1, atol=1e-5)
    np.testing.assert_array_equal(norm[~ball(32, 40, 1.3)], 0)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_maps_are_smooth_along_every_axis(axis):
    centre, maps = calibration(32, 40, 16)
    steps = np.linalg.norm(np.diff(espirit(centre, (32, 40)), axis=axis), axis=0)
    true = np.linalg.norm(np.diff(maps, axis=axis), axis=0).max()
    inside = ball(32, 40)
    both = np.take(inside, range(1, inside.shape[axis - 1]), axis - 1)
    both &= np.take(inside, range(inside.shape[axis - 1] - 1), axis - 1)
    assert steps[both].max() < 1.5 * true


def test_the_coils_strongest_combination_has_no_phase():
    centre, _ = calibration(32, 40, 16)
    strongest = np.linalg.svd(centre.reshape(COILS, -1), full_matrices=False)[0][:, 0]
    combined = np.tensordot(strongest.conj(), espirit(centre, (32, 40)), 1)
    phase = np.angle(combined / combined[16, 20, NX // 2])  # of a vector, free in itself
    assert np.abs(phase[ball(32, 40)]).max() < 0.01


def test_the_phase_of_the_object_does_not_matter():
    inside = ball(32, 40)
    plain, turned = (espirit(calibration(32, 40, 16, turn)[0], (32, 40)) for turn in (0.0, 4.0))
    np.testing.assert_allclose(turned[:, inside], plain[:, inside], atol=0.05)


def test_the_scale_of_the_data_does_not_matter():
    centre, _ = calibration(16, 20, 12)
    plain = espirit(centre, (16, 20))
    np.testing.assert_allclose(espirit(1e-7 * centre, (16, 20)), plain, atol=1e-3)


def test_few_coils_and_no_air_are_not_taken_for_noise():
    z, y, x = grid(24, 26)
    seen = np.stack([2 + z + 0.4j * y + 0.1 * x, 2 - z + 1j * y])
    image = 1 + 0.4 * np.cos(5 * y) * np.sin(4 * z + x)
    kspace = centred_fft((seen * image).astype(np.complex64), axes=[1, 2])
    estimated = espirit(kspace[:, 4:20, 5:21], (24, 26))
    maps = seen / np.linalg.norm(seen, axis=0)
    assert likeness(estimated, maps, np.ones(z.shape, bool)).min() > 0.9


def test_a_large_calibration_region_needs_little_more_memory_than_the_maps():
    lines = np.random.default_rng(0).standard_normal((4, 120, 110, 20, 2), np.float32)
    lines = lines.view(np.complex64)[..., 0]
    tracemalloc.start()
    maps = espirit(lines, (120, 110), noise=1.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * maps.nbytes


def test_planes_of_noise_alone_have_no_map_when_the_noise_is_known():
    centre, _ = calibration(32, 40, 16, noise=1.0)
    centre[..., :4] = np.roll(centre[..., -1:], 3, axis=1)  # beyond the ball
    assert not espirit(centre, (32, 40), noise=1.0)[..., :3].any()


def test_nothing_gives_nothing():
    assert not espirit(np.zeros((3, 8, 8, 4), np.complex64), (16, 16)).any()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((4, 8), "4 calibration lines along kz fit no kernel of 5"),
        ((8, 3), "3 calibration lines along ky fit no kernel of 5"),
        ((8, 17), "17 calibration lines along ky .* a matrix of 16"),
    ],
)
def test_a_calibration_that_fits_no_kernel_or_no_matrix_is_refused(lines, said):
    with pytest.raises(ValueError, match=said):
        espirit(np.ones((3, *lines, 4), np.complex64), (16, 16))
