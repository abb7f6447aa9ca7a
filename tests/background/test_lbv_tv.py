from __future__ import annotations

import numpy as np

from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.lbv import lbv
from gadgetron_qsm.background.lbv_tv import lbv_tv
from tests.analytic import OBLIQUE, ball, sphere_field
from tests.background.scene import share

SHAPE, VOXEL_SIZE = (32, 43, 41), (1.4, 1.0, 1.1)
MASK = ball(SHAPE, VOXEL_SIZE, 19)
TRUTH = 0.1 * sphere_field(SHAPE, VOXEL_SIZE, 4, OBLIQUE, (2, -8, 6))
OUTER = 9 * sphere_field(SHAPE, VOXEL_SIZE, 6, OBLIQUE, (17, 15, -16))


def found(field=TRUTH + OUTER, **parameters):
    return lbv_tv(field, MASK, VOXEL_SIZE, b0_direction=OBLIQUE, **parameters)[0]


def error(local, where):
    return share((local - TRUTH)[where], TRUTH[where])


def test_a_further_pass_makes_up_for_what_lbv_takes_for_background():
    inside = peeled(MASK, 3)
    assert error(found(), inside) < 0.5 * error(found(passes=0), inside)


def test_without_a_further_pass_it_is_lbv():
    expected, _ = lbv(TRUTH + OUTER, MASK, VOXEL_SIZE, peel=2)
    np.testing.assert_array_equal(found(passes=0), expected)


def test_the_mask_stays_whole_and_the_edge_has_the_field_of_the_sources_found():
    _, inside = lbv_tv(TRUTH + OUTER, MASK, VOXEL_SIZE, b0_direction=OBLIQUE)
    np.testing.assert_array_equal(inside, MASK)
    assert error(found(), MASK & ~peeled(MASK, 2)) < 0.27


def test_peeled_layers_have_no_say():
    ruined = np.where(peeled(MASK, 2), TRUTH + OUTER, 7.0)
    np.testing.assert_array_equal(found(ruined), found())


def test_sources_are_not_drawn_from_fields_of_no_weight():
    dark = ball(SHAPE, VOXEL_SIZE, 3, (0, 8, 0))
    rng = np.random.default_rng(0)
    noisy = TRUTH + OUTER + np.where(dark, 0.05 * rng.standard_normal(SHAPE), 0).astype(np.float32)
    around = ball(SHAPE, VOXEL_SIZE, 9, (0, 8, 0)) & ~ball(SHAPE, VOXEL_SIZE, 5, (0, 8, 0))
    weight = np.where(dark, 0, 1).astype(np.float32)
    harm = [(found(noisy, weight=w) - found(weight=w))[around].std() for w in (weight, None)]
    assert harm[0] < harm[1]
