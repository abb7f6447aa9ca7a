from __future__ import annotations

import itertools

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Scan
from gadgetron_qsm.phantom.sampling import Grid, plan_grid, transform_and_crop, voxel_mean

SIZES = list(itertools.product((8, 9), (1, 2, 3, 4)))


def centred_inverse(kspace):
    return np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(kspace)))


@pytest.mark.parametrize(("n", "factor"), SIZES)
@pytest.mark.parametrize("voxel", [2, 5])
def test_a_point_at_a_voxel_centre_comes_back_in_that_voxel_alone(n, factor, voxel):
    fine = np.zeros((1, 1, n * factor), np.complex64)
    fine[0, 0, n * factor // 2 + (voxel - n // 2) * factor] = 1
    image = centred_inverse(transform_and_crop(fine, 2, n)[0, 0])
    np.testing.assert_allclose(image, np.eye(n)[voxel], atol=1e-6)


@pytest.mark.parametrize(("n", "factor"), SIZES)
def test_twice_the_samples_show_twice_the_field_of_view(n, factor):
    fine = np.zeros((1, 1, n * factor), np.complex64)
    fine[0, 0, n * factor // 2 + (2 - n // 2) * factor] = 1
    kspace = transform_and_crop(fine, 2, 2 * n, 2 * n * factor)[0, 0]
    image = centred_inverse(kspace)[n - n // 2 :][:n]
    np.testing.assert_allclose(image, np.eye(n)[2], atol=1e-6)


@pytest.mark.parametrize(("n", "factor"), SIZES)
def test_the_mean_of_a_ramp_is_its_value_at_the_voxel_centre(n, factor):
    position = (np.arange(n * factor) - n * factor // 2) / factor
    grid = Grid((1, 1, n), (1, 1, factor), (1.0, 1.0, 1.0))
    mean = voxel_mean(position[None, None, :], grid)[0, 0]
    # the first and the last voxel reach over the edge
    np.testing.assert_allclose(mean[1:-1], np.arange(n)[1:-1] - n // 2, atol=1e-5)


def test_fine_voxels_of_an_anisotropic_scan_are_near_isotropic():
    grid = plan_grid(Scan(voxel_size_mm=(3.0, 1.0, 0.8)), (30.0, 20.0, 16.0))
    assert grid.matrix == (10, 20, 20)
    assert grid.factor == (8, 3, 2)


def test_fine_voxels_are_no_larger_than_the_labels():
    grid = plan_grid(Scan(voxel_size_mm=(2.5,) * 3, fine_per_voxel=1), (30.0,) * 3, (1.0,) * 3)
    assert grid.factor == (3, 3, 3)


@pytest.mark.parametrize(("voxel_mm", "what"), [(0.1, "too large"), (100.0, "matrix")])
def test_grids_that_cannot_be_simulated_are_refused(voxel_mm, what):
    with pytest.raises(QsmError, match=what):
        plan_grid(Scan(voxel_size_mm=(voxel_mm,) * 3), (200.0, 200.0, 200.0))
