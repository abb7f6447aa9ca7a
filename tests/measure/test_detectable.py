import numpy as np
import pytest

from gadgetron_qsm.measure.detectable import depths, deviations, elsewhere

SHAPE, VOXEL = (40, 40, 40), (2.0, 2.0, 2.0)
WHOLE = np.ones(SHAPE, bool)
SIDE = 3  # voxels of a cubic region, whose change is the mean over it


def region():
    weights = np.zeros(SHAPE)
    weights[18 : 18 + SIDE, 18 : 18 + SIDE, 18 : 18 + SIDE] = SIDE**-3
    return weights


def noise(sd=10.0):
    return np.random.default_rng(3).normal(0, sd, SHAPE)


def found(change, free=WHOLE, valid=WHOLE):
    return elsewhere(change, region(), free, depths(valid, VOXEL))


def test_noise_of_voxels_counts_by_how_many_a_region_has():
    assert found(noise()) == pytest.approx(10 / SIDE**1.5, rel=0.06)


def test_a_shift_of_all_is_what_can_be_told_at_least():
    assert deviations(1) * found(np.full(SHAPE, -7.0)) == pytest.approx(7)


def test_what_changed_in_the_regions_is_not_looked_at():
    change, changed = noise(), np.zeros(SHAPE, bool)
    changed[10:30, 10:30, 10:30] = True
    change[changed] += 1000
    assert found(change, free=~changed) < 3


def test_the_edge_of_a_map_tells_nothing_of_what_lies_deep():
    change = noise()
    change[depths(WHOLE, VOXEL) < 7] = 1000
    assert found(change) < 3


def test_a_region_at_the_edge_is_compared_with_places_at_the_edge():
    change = np.where(depths(WHOLE, VOXEL) < 7, 100.0, 0.0)
    weights = np.roll(region(), -17, axis=0)
    assert elsewhere(change, weights, WHOLE, depths(WHOLE, VOXEL)) > 25


def test_too_few_places_tell_nothing():
    free = np.zeros(SHAPE, bool)
    free[20:24, 20:24, 20:24] = True
    assert found(noise(), free=free) is None


def test_of_many_regions_none_goes_beyond_by_chance():
    draws = np.abs(np.random.default_rng(0).standard_normal((20000, 14))).max(axis=1)
    assert (draws > deviations(14)).mean() == pytest.approx(0.05, abs=0.005)
    assert deviations(1) == pytest.approx(1.96, abs=0.001)
