from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.pdf import pdf
from gadgetron_qsm.grid import dipole_kernel, pad_centre, unpad_centre
from tests.analytic import OBLIQUE, ball

SHAPE, VOXEL_SIZE = (20, 25, 28), (1.7, 1.2, 1.1)
MASK = ball(SHAPE, VOXEL_SIZE, 12)
RNG = np.random.default_rng(0)


def field_of(chi):
    """Field of voxels, far from their images."""
    shape = [3 * n for n in chi.shape]
    kernel = dipole_kernel(shape, VOXEL_SIZE, OBLIQUE, like=chi)
    spectrum = scipy.fft.rfftn(pad_centre(chi.astype(np.float32), shape))
    return unpad_centre(scipy.fft.irfftn(kernel * spectrum, s=shape), chi.shape)


NEAR = ball(SHAPE, VOXEL_SIZE, 15) & ~MASK
BACKGROUND = field_of(np.where(NEAR, RNG.standard_normal(SHAPE), 0))


def left(field=BACKGROUND, of=BACKGROUND, **parameters):
    given = {"b0_direction": OBLIQUE, "peel": 0} | parameters
    return pdf(field, MASK, VOXEL_SIZE, **given)[0][MASK].std() / of[MASK].std()


def test_sources_around_the_mask_are_found_the_better_the_longer_it_looks():
    shares = [left(iterations=n, tolerance=0.0) for n in (5, 40, 300)]
    assert shares[0] > 2 * shares[1] > 8 * shares[2]


def test_b0_elsewhere_explains_less():
    wrong = left(b0_direction=(0.48, 0.8, -0.36), iterations=40)
    assert wrong > 1.5 * left(iterations=40)


@pytest.mark.parametrize("peel", [0, 2])
def test_the_mask_loses_the_peeled_layers(peel):
    _, inside = pdf(BACKGROUND, MASK, VOXEL_SIZE, b0_direction=OBLIQUE, peel=peel, iterations=2)
    np.testing.assert_array_equal(inside, peeled(MASK, peel))


def test_peeled_layers_have_no_say():
    ruined = np.where(peeled(MASK, 2), BACKGROUND, 7.0)
    a, b = (
        pdf(x, MASK, VOXEL_SIZE, b0_direction=OBLIQUE, peel=2, iterations=5)[0]
        for x in (BACKGROUND, ruined)
    )
    np.testing.assert_array_equal(a, b)


def test_a_field_of_no_weight_has_no_say_elsewhere():
    dark = ball(SHAPE, VOXEL_SIZE, 3, (2, 3, -3))
    weight = np.where(dark, 0, 1).astype(np.float32)
    a, b = (
        pdf(np.where(dark, x, BACKGROUND), MASK, VOXEL_SIZE, b0_direction=OBLIQUE, weight=weight)[0]
        for x in (0.0, 7.0)
    )
    np.testing.assert_array_equal(a[~dark], b[~dark])


def test_a_constant_weight_changes_nothing():
    weight = np.full(SHAPE, 0.25, np.float32)
    a, b = (
        pdf(BACKGROUND, MASK, VOXEL_SIZE, b0_direction=OBLIQUE, weight=w, iterations=10)[0]
        for w in (None, weight)
    )
    np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(BACKGROUND).max())


def test_the_weight_is_squared():
    # at the minimum no source outside lessens |W (D chi - field)|^2: D W^2 local is 0 there
    weight = np.where(MASK, RNG.uniform(0.1, 1, SHAPE), 0).astype(np.float32)
    total = BACKGROUND + 0.1 * RNG.standard_normal(SHAPE).astype(np.float32)
    given = {"b0_direction": OBLIQUE, "peel": 0, "iterations": 300, "tolerance": 1e-5}
    local, _ = pdf(total, MASK, VOXEL_SIZE, weight=weight, **given)
    slopes = [np.linalg.norm(field_of(weight**power * local)[NEAR]) for power in (1, 2)]
    assert slopes[1] < 0.2 * slopes[0]
