from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.resharp import resharp
from gadgetron_qsm.background.sphere import fits
from gadgetron_qsm.distance import depth
from tests.analytic import OBLIQUE, ball, sphere_field

SHAPE, VOXEL_SIZE = (36, 40, 41), (1.2, 1.0, 1.1)
MASK = ball(SHAPE, VOXEL_SIZE, 18)
TRUTH = sphere_field(SHAPE, VOXEL_SIZE, 3, OBLIQUE, (2, -4, 3))
TOTAL = TRUTH + 9 * sphere_field(SHAPE, VOXEL_SIZE, 6, OBLIQUE, (16, 14, -15))


def found(**parameters):
    return resharp(TOTAL, MASK, VOXEL_SIZE, keep_edge=False, **parameters)[0]


def test_of_all_that_explains_the_field_it_takes_a_small_one():
    local = found(regularisation=1e-5, iterations=200)
    assert np.linalg.norm(local) < np.linalg.norm(TRUTH[MASK])


def test_a_larger_price_gives_a_smaller_local_field():
    sizes = [np.linalg.norm(found(regularisation=a, iterations=100)) for a in (1e-3, 0.1, 10.0)]
    assert sizes[0] > 1.1 * sizes[1] > 2 * sizes[2]


def test_more_iterations_come_nearer_to_the_minimum():
    end = found(radius_mm=4.0, iterations=300, tolerance=1e-6)
    found_after = [found(radius_mm=4.0, iterations=n, tolerance=0.0) for n in (3, 10, 30)]
    away = [np.linalg.norm(local - end) for local in found_after]
    assert away[0] > 2 * away[1] > 4 * away[2]


@pytest.mark.parametrize("radius", [3.0, 6.0])
def test_the_mask_is_where_the_sphere_fits(radius):
    _, inside = resharp(TOTAL, MASK, VOXEL_SIZE, radius_mm=radius, keep_edge=False)
    np.testing.assert_array_equal(inside, fits(depth(MASK, VOXEL_SIZE), radius))


def test_the_edge_is_kept_down_to_three_layers():
    kept, inside = resharp(TOTAL, MASK, VOXEL_SIZE, radius_mm=6.0)
    deep = fits(depth(MASK, VOXEL_SIZE), 6.0)
    np.testing.assert_array_equal(inside, peeled(MASK, 3) | deep)
    np.testing.assert_array_equal(kept[deep], found(radius_mm=6.0)[deep])
