"""Second moments of regions in mm, whatever the voxels."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.measure.extent import extent
from tests.analytic import ball, coordinates

SHAPE, SIZE = (30, 44, 50), (1.5, 1.0, 0.8)
AT = (3.0, -4.0, 2.4)  # mm from the middle (z, y, x)
Z, Y, X = coordinates(SHAPE, SIZE)


def test_a_ball_is_as_long_as_thick_full_and_where_it_is():
    found = extent(ball(SHAPE, SIZE, 6.0, AT).astype(np.float32), SIZE)
    assert found.elongation == pytest.approx(1, abs=0.08)
    assert found.fullness == pytest.approx(1, abs=0.05)
    assert found.thinnest_mm == pytest.approx(12, rel=0.05)
    np.testing.assert_allclose(found.centre, np.array(AT) / SIZE + np.array(SHAPE) // 2, atol=0.1)


def test_an_oblique_ellipsoid_has_the_ratio_of_its_axes():
    along, across = (Y + X) / np.sqrt(2), (Y - X) / np.sqrt(2)
    found = extent(((along / 12) ** 2 + (across / 4) ** 2 + (Z / 5) ** 2 < 1).astype("f4"), SIZE)
    assert found.elongation == pytest.approx(3, rel=0.05)
    assert found.thinnest_mm == pytest.approx(8, rel=0.07)
    assert found.fullness == pytest.approx(1, abs=0.07)


def test_what_bends_and_branches_fills_little_of_its_ellipsoid():
    ring = np.hypot(np.hypot(Y, X) - 10.0, Z) < 1.5
    cross = (np.minimum(np.hypot(Y, Z), np.hypot(X, Z)) < 1.5) & (np.hypot(Y, X) < 15)
    for thin in (ring, cross):
        assert extent(thin.astype(np.float32), SIZE).fullness < 0.5


def test_a_ball_in_two_thick_slices_is_no_rod():
    shape, size = (9, 24, 24), (3.0, 1.0, 1.0)
    found = extent(ball(shape, size, 2.2, (1.5, 0.3, -0.2)).astype(np.float32), size)
    assert found.elongation < 1.7
    assert found.fullness > 0.7


def test_one_voxel_is_as_long_as_its_sides():
    weight = np.zeros(SHAPE, np.float32)
    weight[4, 5, 6] = 7.0
    found = extent(weight, SIZE)
    assert found.elongation == pytest.approx(1)
    assert found.thinnest_mm == pytest.approx(2 * 0.8 * np.sqrt(5 / 12))
    with pytest.raises(ValueError, match="the region is empty"):
        extent(np.zeros_like(weight), SIZE)
