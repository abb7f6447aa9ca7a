"""The measures that methods are compared by: what they must say of maps that are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.scores import deeper_than, filled, hfen, nrmse, nuclei, xsim

SHAPE, VOXEL_SIZE = (14, 16, 18), (2.0, 1.5, 1.0)
MEASURES = {"nrmse": (nrmse, 0), "hfen": (hfen, 0), "xsim": (xsim, 1)}


@pytest.fixture
def region():
    """A box, a voxel from the grid's edge."""
    box = np.zeros(SHAPE, bool)
    box[1:-1, 1:-1, 1:-1] = True
    return box


@pytest.fixture
def labels(region):
    """Nuclei 1, 2 and 4, of 27 voxels each."""
    drawn = np.where(region, 8, 0)
    for number, start in ((1, 2), (2, 6), (4, 10)):
        drawn[start : start + 3, 4:7, 5:8] = number
    return drawn


@pytest.fixture
def truth(labels):
    noise = np.random.default_rng(5).normal(0, 0.02, SHAPE)
    chi = np.select([labels == n for n in (1, 2, 4)], [0.04, 0.13, 0.1], noise)
    return chi.astype(np.float32)


@pytest.mark.parametrize(("measure", "best"), MEASURES.values(), ids=MEASURES)
def test_the_truth_is_best_whatever_its_constant(measure, best, truth, region):
    assert measure(truth + 3.7, truth, region) == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize(("measure", "best"), MEASURES.values(), ids=MEASURES)
def test_what_lies_outside_the_region_has_no_say(measure, best, truth, region):
    assert measure(np.where(region, truth, 1e3), truth, region) == pytest.approx(best, abs=1e-6)
    outside = np.where(region, truth, 1e3)
    assert measure(truth, outside, region) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("measure", [nrmse, hfen])
def test_a_map_at_80_percent_is_20_percent_off(measure, truth, region):
    assert measure(0.8 * truth, truth, region) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize("measure", [nrmse, hfen])
def test_a_flat_map_is_100_percent_off(measure, truth, region):
    assert measure(np.full(SHAPE, 0.5), truth, region) == pytest.approx(100)


def test_xsim_falls_with_noise_and_is_negative_for_the_opposite(truth, region):
    noise = np.random.default_rng(6).normal(0, 1, SHAPE)
    little, much = (xsim(truth + sd * noise, truth, region) for sd in (0.005, 0.02))
    assert 0.99 > little > much > 0
    assert xsim(-truth, truth, region) < 0


def test_missing_voxels_count_as_the_reference(truth, region):
    half = region.copy()
    half[:, :, SHAPE[2] // 2 :] = False
    got = filled(truth + 0.3, half, region)
    assert not got[~half].any()
    assert got[half & region].mean() == pytest.approx(0, abs=1e-6)
    assert nrmse(got, truth, region) > 40
    assert nrmse(got, truth, half) == pytest.approx(0, abs=1e-3)


def test_nuclei_of_a_map_at_90_percent_have_slope_09(truth, labels, region):
    slope, rmse = nuclei(0.9 * truth + 1, truth, labels, region)
    means = np.array([0.04, 0.13, 0.1]) - truth[region].mean()
    assert slope == pytest.approx(0.9, rel=1e-4)
    assert rmse == pytest.approx(100 * np.sqrt(np.mean(means**2)), rel=1e-3)


def test_depth_is_the_distance_to_the_nearest_voxel_outside():
    mask = np.zeros((11, 11, 11), bool)
    mask[:, 2:9, 2:9] = True  # to the end of the grid along z
    deep = deeper_than(mask, VOXEL_SIZE, 2.0)
    inner = np.zeros_like(mask)
    inner[1:-1, 3:8, 4:7] = True  # beyond 2 mm of voxels of 2, 1.5 and 1 mm
    np.testing.assert_array_equal(deep, inner)
