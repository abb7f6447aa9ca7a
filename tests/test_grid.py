from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import (
    dipole_kernel,
    filtered,
    from_half_spectra,
    good_size,
    half_spectra,
    of_real_fields,
    pad_centre,
    unpad_centre,
)
from tests.analytic import OBLIQUE, distance, sphere_field

RADIUS = 8.0
GRIDS = [
    ((64, 64, 64), (1.0, 1.0, 1.0)),
    ((33, 65, 64), (2.0, 1.0, 1.0)),
    ((63, 48, 40), (1.0, 1.3, 1.6)),
]


def convolved(chi, voxel_size, b0):
    """Field of `chi` by the kernel under test, padded to twice the size."""
    shape = [good_size(2 * n) for n in chi.shape]
    kernel = dipole_kernel(shape, voxel_size, b0, like=chi)
    field = scipy.fft.irfftn(kernel * scipy.fft.rfftn(pad_centre(chi, shape)), s=shape)
    return unpad_centre(field, chi.shape)


def soft_sphere(shape, voxel_size):
    """A sphere of 1 ppm whose edge voxels are filled in part."""
    r = distance(shape, voxel_size)
    return r, np.clip((RADIUS - r) / max(voxel_size) + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0)])
def test_the_field_of_a_sphere_is_a_dipole_outside(shape, voxel_size, b0):
    r, chi = soft_sphere(shape, voxel_size)
    field, dipole = convolved(chi, voxel_size, b0), sphere_field(shape, voxel_size, RADIUS, b0)
    outside = (r > 1.4 * RADIUS) & (r < 2.5 * RADIUS)
    slope = (field * dipole)[outside].sum() / (dipole**2)[outside].sum()
    assert slope == pytest.approx(1, abs=0.02)
    assert np.abs(field - dipole)[outside].max() < 0.025  # of 0.24 at the nearest poles


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
def test_the_field_inside_a_sphere_is_nothing(shape, voxel_size):
    r, chi = soft_sphere(shape, voxel_size)
    assert np.abs(convolved(chi, voxel_size, OBLIQUE)[r < 0.7 * RADIUS]).max() < 0.02


def test_the_kernel_is_minus_two_thirds_along_b0_and_a_third_across():
    kernel = dipole_kernel((8, 6, 10), (1.0, 2.0, 3.0), (0.0, 1.0, 0.0), like=np.zeros(1))
    np.testing.assert_allclose(kernel[0, 1:, 0], -2 / 3, rtol=1e-6)
    np.testing.assert_allclose(kernel[1:, 0, 0], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(kernel[0, 0, 1:], 1 / 3, rtol=1e-6)


def test_the_kernel_counts_frequencies_per_mm():
    kernel = dipole_kernel((8, 8, 8), (1.0, 1.0, 2.0), (1.0, 0.0, 0.0), like=np.zeros(1))
    # k = (1, 0, 1) / 8 voxels is (2, 0, 1) / 16 mm, of which 4 / 5 lies along B0
    assert kernel[1, 0, 1] == pytest.approx(1 / 3 - 4 / 5)


def test_the_mean_field_is_left_at_nothing():
    kernel = dipole_kernel((8, 6, 10), (1.0, 2.0, 3.0), OBLIQUE, like=np.zeros(1))
    assert kernel[0, 0, 0] == 0


def test_the_kernel_is_single_precision_on_the_half_spectrum():
    kernel = dipole_kernel((4, 5, 7), (1.0, 2.0, 3.0), OBLIQUE, like=np.zeros(1))
    assert kernel.dtype == np.float32
    assert kernel.shape == (4, 5, 4)


@pytest.mark.parametrize("shape", [(6, 8, 10), (5, 7, 9)])
def test_the_dipole_convolution_is_its_own_adjoint(shape):
    x, y = np.random.default_rng(0).standard_normal((2, *shape))
    kernel = dipole_kernel(shape, (1.0, 2.0, 1.5), OBLIQUE, like=x)

    def field(chi):
        return scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=shape)

    assert (field(x) * y).sum() == pytest.approx((x * field(y)).sum(), rel=1e-9)


@pytest.mark.parametrize("shape", [(6, 8, 10), (5, 7, 9), (8, 5, 6)])
def test_a_field_has_the_spectrum_that_a_kernel_of_real_fields_makes_of_the_sources(shape):
    spectrum = scipy.fft.rfftn(np.random.default_rng(0).standard_normal(shape))
    dipole = dipole_kernel(shape, (1.0, 2.0, 1.5), OBLIQUE, like=spectrum.real)
    before = dipole.copy()
    made = of_real_fields(dipole, shape[2]) * spectrum
    np.testing.assert_array_equal(dipole, before)
    field = scipy.fft.irfftn(made, s=shape)
    np.testing.assert_allclose(scipy.fft.rfftn(field), made, atol=1e-10)
    np.testing.assert_allclose(scipy.fft.irfftn(dipole * spectrum, s=shape), field, atol=1e-7)


@pytest.mark.parametrize("shape", [(6, 8, 10), (5, 7, 9)])
def test_grid_and_kernel_are_the_same_on_a_device(device, shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    wide = pad_centre(device(x), (12, 12, 12))
    np.testing.assert_array_equal(wide.get(), pad_centre(x, (12, 12, 12)))
    np.testing.assert_array_equal(unpad_centre(wide, shape).get(), x)
    kernel = dipole_kernel(shape, (1.0, 2.0, 1.5), OBLIQUE, like=device(x))
    expected = dipole_kernel(shape, (1.0, 2.0, 1.5), OBLIQUE, like=x)
    np.testing.assert_allclose(kernel.get(), expected, atol=1e-6)
    np.testing.assert_allclose(
        of_real_fields(kernel, shape[2]).get(), of_real_fields(expected, shape[2]), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(6, 8, 10), (2, 5, 7, 9), (3, 4, 6, 8)])
def test_volumes_come_back_from_half_spectra(shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    spectra = half_spectra(x)
    np.testing.assert_allclose(spectra, scipy.fft.rfftn(x, axes=(-3, -2, -1)), rtol=1e-6)
    voxels = np.float32(np.prod(shape[-3:]))
    times = from_half_spectra(spectra.copy(), shape[-3:], divide=False)
    np.testing.assert_allclose(times / voxels, x, atol=1e-6)
    back = from_half_spectra(spectra, shape[-3:])
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_a_filter_multiplies_the_spectrum():
    x, kernel = np.random.default_rng(0).random((2, 6, 8, 10), np.float32)
    before, kernel = x.copy(), kernel[..., :6]
    expected = scipy.fft.irfftn(scipy.fft.rfftn(x) * kernel, s=x.shape)
    np.testing.assert_allclose(filtered(x, kernel), expected, atol=1e-6)
    np.testing.assert_array_equal(x, before)


def test_half_spectra_are_the_same_on_a_device(device):
    x = np.random.default_rng(0).random((2, 6, 8, 9), np.float32)
    spectra = half_spectra(device(x))
    np.testing.assert_allclose(spectra.get(), half_spectra(x), atol=1e-4)
    kernel = np.random.default_rng(1).random((6, 8, 5), np.float32)
    got = filtered(device(x[0]), device(kernel))
    np.testing.assert_allclose(got.get(), filtered(x[0], kernel), atol=1e-6)
    back = from_half_spectra(spectra.copy(), x.shape[1:])
    np.testing.assert_allclose(back.get(), x, atol=1e-6)
    times = from_half_spectra(spectra, x.shape[1:], divide=False)
    np.testing.assert_allclose(times.get() / (6 * 8 * 9), x, atol=1e-6)


def test_good_sizes_are_the_next_even_products_of_2_3_and_5():
    products = sorted(2**a * 3**b * 5**c for a in range(1, 10) for b in range(6) for c in range(4))
    for n in range(1, 300):
        assert good_size(n) == next(size for size in products if size >= n)


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 4, 7), (1, 1, 1)])
@pytest.mark.parametrize("padded", [(8, 9, 10), (9, 8, 7), (5, 5, 7)])
def test_padding_is_undone(shape, padded):
    x = np.random.default_rng(0).random(shape, np.float32)
    wide = pad_centre(x, padded)
    assert wide.shape == padded
    assert wide.sum() == pytest.approx(x.sum())
    back = unpad_centre(wide, shape)
    np.testing.assert_array_equal(back, x)
    assert back.flags.c_contiguous


def test_padding_is_even_on_both_sides_and_keeps_the_type():
    wide = pad_centre(np.ones((2, 2, 2), bool), (6, 7, 2))
    assert wide.dtype == bool
    np.testing.assert_array_equal(np.argwhere(wide)[[0, -1]], [[2, 2, 0], [3, 3, 1]])
