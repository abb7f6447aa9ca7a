from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.thinned import thinned


def test_a_small_volume_stays_whole():
    volume = np.arange(64 * 3 * 1).reshape(64, 3, 1)
    np.testing.assert_array_equal(thinned(volume), volume)


@pytest.mark.parametrize("n", [65, 128, 129, 320])
def test_of_a_large_volume_few_voxels_are_left_evenly_spread_along_each_axis(n):
    left = thinned(np.arange(n)[:, None, None])[:, 0, 0]
    assert len(left) <= 64
    assert left[0] == 0
    assert len(set(np.diff(left))) == 1
    assert n - left[-1] <= left[1]


def test_its_percentiles_are_those_of_the_volume():
    volume = np.random.default_rng(0).gamma(2.0, size=(70, 80, 200)).astype(np.float32)
    few, all_of_them = (np.percentile(x, [1, 50, 99]) for x in (thinned(volume), volume))
    np.testing.assert_allclose(few, all_of_them, rtol=0.03)
