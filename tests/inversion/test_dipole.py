from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel, good_size, pad_centre, unpad_centre
from gadgetron_qsm.inversion.dipole import object_dipole_kernel, point_value
from tests.analytic import OBLIQUE, distance, sphere_field

RADIUS = 8.0
GRIDS = [((65, 64, 63), (1.0, 1.0, 1.0)), ((33, 65, 64), (2.0, 1.0, 1.0))]


def convolved(kernel_of, chi, voxel_size, b0):
    shape = [good_size(2 * n) for n in chi.shape]
    kernel = kernel_of(shape, voxel_size, b0, like=chi)
    field = scipy.fft.irfftn(kernel * scipy.fft.rfftn(pad_centre(chi, shape)), s=shape)
    return unpad_centre(field, chi.shape)


def soft_sphere(shape, voxel_size):
    """A sphere of 1 ppm whose edge voxels are filled in part."""
    r = distance(shape, voxel_size)
    return r, np.clip((RADIUS - r) / max(voxel_size) + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0)])
def test_the_field_of_a_sphere_is_a_dipole_outside_and_nothing_inside(shape, voxel_size, b0):
    r, chi = soft_sphere(shape, voxel_size)
    field = convolved(object_dipole_kernel, chi, voxel_size, b0)
    dipole = sphere_field(shape, voxel_size, RADIUS, b0)
    outside = (r > 1.4 * RADIUS) & (r < 2.5 * RADIUS)
    assert (field * dipole)[outside].sum() / (dipole**2)[outside].sum() == pytest.approx(
        1, abs=0.02
    )
    assert np.abs(field[r < 0.7 * RADIUS]).max() < 0.02


@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
def test_both_kernels_agree_away_from_edges(shape, voxel_size):
    r, chi = soft_sphere(shape, voxel_size)
    a, b = (convolved(k, chi, voxel_size, OBLIQUE) for k in (object_dipole_kernel, dipole_kernel))
    away = np.abs(r - RADIUS) > 3
    assert np.abs(a - b)[away & (r < 20)].max() < 0.03  # of 0.67 at the poles


def test_far_from_a_voxel_its_field_is_that_of_a_dipole():
    shape, voxel_size = (24, 20, 28), (1.0, 2.0, 1.5)
    kernel = object_dipole_kernel(shape, voxel_size, OBLIQUE, like=np.zeros(1))
    found = scipy.fft.fftshift(scipy.fft.irfftn(kernel, s=shape))
    radius = (3 * np.prod(voxel_size) / (4 * np.pi)) ** (1 / 3)  # of a ball of one voxel's volume
    expected = sphere_field(shape, voxel_size, radius, OBLIQUE)
    r = distance(shape, voxel_size)
    far = (r > 6) & (r < 10)
    difference = (found - expected)[far]
    assert difference.std() < 0.05 * expected[far].std()  # its mean no kernel defines


def test_the_field_of_a_voxel_that_is_no_cube_is_that_of_a_box_not_a_ball():
    flat = object_dipole_kernel((32, 32, 32), (1.0, 4.0, 4.0), (1.0, 0.0, 0.0), like=np.zeros(1))
    at_centre = scipy.fft.irfftn(flat, s=(32, 32, 32))[0, 0, 0]
    across = np.arctan(16 / (1 * np.sqrt(1 + 16 + 16)))  # demagnetisation at the centre of a box
    assert at_centre == pytest.approx(1 / 3 - 2 * across / np.pi, abs=0.005)


def test_the_object_kernel_has_no_images_of_itself():
    shape, b0 = (16, 16, 16), (1.0, 0.0, 0.0)
    a, b = (
        scipy.fft.irfftn(kernel_of(shape, (1.0, 1.0, 1.0), b0, like=np.zeros(1)), s=shape)
        for kernel_of in (object_dipole_kernel, dipole_kernel)
    )
    far, near = (6, 0, 0), (7, 0, 0)
    alone = 2 / (4 * np.pi * 6**3) - 2 / (4 * np.pi * 7**3)
    assert a[far] - a[near] == pytest.approx(alone, rel=5e-3)
    assert abs(b[far] - b[near] - alone) > 0.1 * alone


def test_the_object_kernel_is_single_precision_on_the_half_spectrum_without_mean():
    kernel = object_dipole_kernel((4, 5, 7), (1.0, 2.0, 3.0), OBLIQUE, like=np.zeros(1))
    assert kernel.dtype == np.float32
    assert kernel.shape == (4, 5, 4)
    assert kernel[0, 0, 0] == 0


def test_the_object_kernel_is_the_same_on_a_device(device):
    how = ((8, 6, 10), (1.0, 2.0, 1.5), OBLIQUE)
    got = object_dipole_kernel(*how, like=device(np.zeros(1)))
    np.testing.assert_allclose(got.get(), object_dipole_kernel(*how, like=np.zeros(1)), atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 4, 8), (5, 4, 7)])
def test_the_point_value_is_what_a_voxel_comes_to(shape):
    point = np.zeros(shape)
    point[2, 1, 3] = 1
    transfer = dipole_kernel(shape, (1.0, 2.0, 3.0), OBLIQUE, like=point) ** 2 + 0.3
    seen = scipy.fft.irfftn(transfer * scipy.fft.rfftn(point), s=shape)
    assert point_value(transfer, shape[2]) == pytest.approx(seen[2, 1, 3], rel=1e-6)


def test_the_point_value_is_the_same_on_a_device(device):
    transfer = np.random.default_rng(0).random((6, 4, 5), np.float32)
    assert point_value(device(transfer), 8) == pytest.approx(point_value(transfer, 8))
