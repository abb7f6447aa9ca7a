from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.lbv import lbv
from tests.analytic import ball
from tests.background.scene import saddle

SHAPE, VOXEL_SIZE = (26, 31, 33), (1.7, 1.2, 1.1)
MASK = ball(SHAPE, VOXEL_SIZE, 16)


def local_truth(peel):
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    return np.where(peeled(MASK, peel + 1), 0.02 * noise, 0).astype(np.float32)


@pytest.mark.parametrize("peel", [0, 1, 3])
def test_a_local_field_of_0_at_the_edge_is_found_exactly(peel):
    truth = local_truth(peel)
    total = truth + saddle(SHAPE, VOXEL_SIZE)
    local, _ = lbv(total, MASK, VOXEL_SIZE, peel=peel, tolerance=1e-5)
    np.testing.assert_allclose(local, truth, atol=2e-5)


@pytest.mark.parametrize("peel", [0, 1, 3])
def test_the_mask_loses_the_peeled_layers_and_the_one_that_is_0(peel):
    _, inside = lbv(saddle(SHAPE, VOXEL_SIZE), MASK, VOXEL_SIZE, peel=peel)
    np.testing.assert_array_equal(inside, peeled(MASK, peel + 1))


def test_peeled_layers_have_no_say():
    total = local_truth(2) + saddle(SHAPE, VOXEL_SIZE)
    ruined = np.where(peeled(MASK, 2), total, 7.0)
    a, b = (lbv(x, MASK, VOXEL_SIZE, peel=2)[0] for x in (total, ruined))
    np.testing.assert_array_equal(a, b)


def test_a_smaller_tolerance_comes_nearer():
    truth = local_truth(1)
    total = truth + saddle(SHAPE, VOXEL_SIZE)
    errors = [
        np.linalg.norm(lbv(total, MASK, VOXEL_SIZE, peel=1, tolerance=t)[0] - truth)
        for t in (0.3, 0.03, 0.003)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
