from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.inversion.hdqsm import hdqsm
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, error

RNG = np.random.default_rng(0)
OUTLIERS = RNG.random(SHAPE) < 0.01
RUINED = np.where(OUTLIERS, RNG.uniform(-0.3, 0.3, SHAPE), FIELD).astype(np.float32)


def test_outliers_do_much_less_harm_than_under_squared_misfits():
    hybrid = error(hdqsm(RUINED, MASK, VOXEL, OBLIQUE, outlier_ppm=0.002))
    squared = error(tv(RUINED, MASK, VOXEL, OBLIQUE))
    assert hybrid < 0.3 * squared


def test_a_field_without_outliers_gives_what_squared_misfits_give():
    a = hdqsm(FIELD, MASK, VOXEL, OBLIQUE, outlier_ppm=0.1, first_iterations=15, iterations=40)
    b = tv(FIELD, MASK, VOXEL, OBLIQUE, iterations=40)
    assert (a - b)[MASK].std() < 0.05 * b[MASK].std()


def test_what_is_beyond_outlier_ppm_counts_linearly_in_both_stages():
    how = {"outlier_ppm": 0.002, "first_iterations": 40, "iterations": 40}
    farther = np.where(OUTLIERS, FIELD + 10 * (RUINED - FIELD), FIELD).astype(np.float32)
    a, b = (hdqsm(f, MASK, VOXEL, OBLIQUE, **how) for f in (RUINED, farther))
    assert (a - b)[MASK].std() < 0.2 * a[MASK].std()


def test_a_field_of_no_weight_is_ignored():
    weight = np.where(OUTLIERS, 0, 1).astype(np.float32)
    a, b = (hdqsm(f, MASK, VOXEL, OBLIQUE, weight=weight, iterations=3) for f in (RUINED, FIELD))
    np.testing.assert_array_equal(a, b)


def test_the_second_stage_goes_on_from_the_first():
    soon, late, anew = (
        hdqsm(FIELD, MASK, VOXEL, OBLIQUE, first_iterations=first, iterations=iterations)
        for first, iterations in ((40, 2), (40, 40), (1, 2))
    )
    assert (soon - late)[MASK].std() < 0.4 * (anew - late)[MASK].std()


@pytest.mark.parametrize("name", ["regularisation", "outlier_ppm"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_what_must_be_above_0_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"{name} is .* must be above 0"):
        hdqsm(FIELD, MASK, VOXEL, OBLIQUE, **{name: value})
