from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.measure.statistics import standard_error, statistics

VOXEL = (2.0, 1.5, 1.0)


@pytest.fixture
def some():
    region = np.zeros((3, 4, 5), dtype=bool)
    region[1, 2, :4] = True
    return region


def test_numbers_are_those_of_the_voxels_inside(some):
    values = np.full((3, 4, 5), 999, np.float32)
    values[1, 2, :4] = [-10, 0, 20, 70]
    found = statistics(values, some, VOXEL)
    assert (found.mean, found.median) == (20, 10)
    assert (found.minimum, found.maximum) == (-10, 70)
    assert found.sd == pytest.approx(np.sqrt((30**2 + 20**2 + 0 + 50**2) / 4))
    assert (found.voxels, found.volume_mm3, found.fraction_inside) == (4, 12, 1)
    assert found.standard_error is None


def test_percentiles_are_those_of_an_even_spread():
    values = np.random.default_rng(0).permutation(np.arange(101.0)).reshape(1, 1, 101)
    found = statistics(values, np.ones(values.shape, bool), VOXEL)
    assert (found.p05, found.p25, found.median, found.p75, found.p95) == (5, 25, 50, 75, 95)


def test_many_voxels_keep_their_digits():
    values = np.full((64, 64, 64), 1000.1, np.float32)
    found = statistics(values, np.ones(values.shape, bool), VOXEL)
    assert found.mean == pytest.approx(float(np.float32(1000.1)), abs=1e-9)
    assert found.sd == pytest.approx(0, abs=1e-9)


def test_zeros_out_of_the_mask_do_not_count(some):
    values = np.where(some, np.float32(40), 0)
    values[1, 2, 3] = 0  # where the map does not hold
    mask = np.ones(some.shape, bool)
    mask[1, 2, 3] = False
    found = statistics(values, some, VOXEL, valid=mask)
    assert (found.mean, found.minimum, found.voxels) == (40, 40, 3)
    assert (found.fraction_inside, found.volume_mm3) == (0.75, 9)


def test_voxels_without_a_finite_value_do_not_count(some):
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 2, :4] = [np.nan, 2, 4, np.inf]
    found = statistics(values, some, VOXEL)
    assert (found.mean, found.voxels, found.volume_mm3, found.fraction_inside) == (3, 2, 6, 0.5)


def test_a_region_of_nothing_is_refused(some):
    zeros = np.zeros(some.shape)
    with pytest.raises(ValueError, match="no voxel with a finite value"):
        statistics(np.full(some.shape, np.nan), some, VOXEL)
    with pytest.raises(ValueError, match="where the map holds"):
        statistics(zeros, some, VOXEL, valid=~some)
    with pytest.raises(ValueError, match=r"\(2, 2, 2\), the region \(3, 4, 5\)"):
        statistics(np.zeros((2, 2, 2)), some, VOXEL)


def test_independent_noise_averages_with_the_root_of_the_voxels(some):
    noise = np.full(some.shape, 6.0)
    found = statistics(np.zeros(some.shape), some, VOXEL, noise=noise, correlation_mm=0)
    assert found.standard_error == pytest.approx(6 / np.sqrt(4))


def test_noise_of_voxels_all_alike_does_not_average():
    region = np.zeros((9, 9, 9), bool)
    region[2:7, 3:6, 4] = True
    found = standard_error(np.full(region.shape, 6.0), region, VOXEL, correlation_mm=1e3)
    assert found == pytest.approx(6, rel=1e-3)


@pytest.mark.parametrize("length_mm", [2.5, 4.0])
def test_standard_error_is_what_repeated_correlated_noise_shows(length_mm):
    rng, size, repeats = np.random.default_rng(3), (1.0, 2.0, 2.0), 400
    region = np.zeros((24, 16, 16), bool)
    region[6:16, 5:9, 4:10] = True
    region[10:12, 5:7] = False
    level = np.linspace(2, 6, region.size).reshape(region.shape)
    # white noise smoothed by s correlates by a Gaussian of sqrt(2) s
    smoothing = [0, *(length_mm / np.sqrt(2) / s for s in size)]
    draws = rng.standard_normal((repeats, *region.shape))
    draws = scipy.ndimage.gaussian_filter(draws, smoothing, mode="wrap")
    draws *= level / draws.std()
    repeated = draws[:, region].mean(axis=1).std()
    assert standard_error(level, region, size, length_mm) == pytest.approx(repeated, rel=0.1)
    # of pairs far apart the samples leave out some of what they share
    assert 0.85 * repeated < standard_error(draws, region, size) < 1.02 * repeated
    naive = np.sqrt((level[region] ** 2).sum()) / region.sum()
    assert repeated > 1.2 * naive


def test_few_samples_tell_the_error_of_a_region_far_larger_than_the_noise_is_wide():
    rng, size = np.random.default_rng(5), (2.0, 2.0, 2.0)
    region = np.ones((24, 24, 24), bool)
    samples = 3 * rng.standard_normal((4, *region.shape))
    expected = 3 / np.sqrt(region.sum())
    means = samples.mean(axis=(1, 2, 3))
    assert abs(np.sqrt((means**2).mean()) / expected - 1) > 0.1  # they alone tell less
    assert standard_error(samples, region, size) == pytest.approx(expected, rel=0.1)


def test_noise_out_of_the_mask_adds_nothing(some):
    noise = np.where(some, 6.0, 1e9)
    noise[1, 2, 3] = 1e9
    valid = np.ones(some.shape, bool)
    valid[1, 2, 3] = False
    found = statistics(
        np.zeros(some.shape), some, VOXEL, noise=noise, valid=valid, correlation_mm=0
    )
    assert found.standard_error == pytest.approx(6 / np.sqrt(3))
