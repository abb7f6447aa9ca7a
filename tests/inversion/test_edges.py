from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.inversion.edges import EDGE_PRICE, edge_prices, plain, shrink_edges
from gadgetron_qsm.inversion.gradient import adjoint, forward, scales, squared_spectrum

SHAPE, SIDES = (6, 8, 10), (1.0, 2.0, 0.5)
SCALE = scales(SIDES)


@pytest.fixture(params=["host", "device"])
def put(request, device):
    """A function that leaves arrays on the host, or moves them to the device."""
    return np.copy if request.param == "host" else device


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_scales_are_1_for_cubes_of_any_size():
    assert scales((2.0, 2.0, 2.0)) == pytest.approx((1, 1, 1))


def test_scales_go_as_one_over_the_side():
    assert scales((1.0, 2.0, 0.5)) == pytest.approx((1.0, 0.5, 2.0))


@pytest.mark.parametrize("shape", [SHAPE, (5, 7, 9)])
def test_the_adjoint_is_that_of_the_forward_differences(shape):
    x, edges = random(*shape).astype(float), random(3, *shape).astype(float)
    along = sum((forward(x, axis, SCALE[axis]) * edges[axis]).sum() for axis in range(3))
    assert (x * adjoint(edges, SCALE)).sum() == pytest.approx(along, rel=1e-6)


@pytest.mark.parametrize("shape", [SHAPE, (5, 7, 9)])
def test_the_spectrum_is_that_of_the_adjoint_after_the_differences(shape):
    x = random(*shape)
    expected = adjoint([forward(x, axis, SCALE[axis]) for axis in range(3)], SCALE)
    spectrum = squared_spectrum(shape, SCALE, like=x) * scipy.fft.rfftn(x)
    np.testing.assert_allclose(scipy.fft.irfftn(spectrum, s=shape), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [SHAPE, (5, 7, 9), (2, 3, 1)])
def test_the_fused_step_is_the_plain_one(shape):
    chi, fused, bounds = random(*shape), random(3, *shape), np.abs(random(3, *shape)[::-1])
    one_by_one = fused.copy()
    for _ in range(2):
        a = shrink_edges(list(fused), chi, list(bounds), 1.6, SCALE)
        b = plain(list(one_by_one), chi, list(bounds), np.float32(1.6), SCALE)
    np.testing.assert_allclose(a, b, atol=2e-5)
    np.testing.assert_allclose(fused, one_by_one, atol=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (5, 7, 9), (2, 3, 1)])
def test_the_step_on_a_device_is_the_plain_one(device, shape):
    chi, edges, bounds = random(*shape), random(3, *shape), np.abs(random(3, *shape)[::-1])
    there = [device(edge) for edge in edges]
    for _ in range(2):
        pull = shrink_edges(there, device(chi), [device(b) for b in bounds], 1.6, SCALE)
        expected = plain(list(edges), chi, list(bounds), np.float32(1.6), SCALE)
    np.testing.assert_allclose(pull.get(), expected, atol=2e-5)
    np.testing.assert_allclose([edge.get() for edge in there], edges, atol=1e-5)


def test_the_pull_goes_where_it_is_wanted(put):
    chi, edges, bounds = (
        put(random(*SHAPE)),
        [put(e) for e in random(3, *SHAPE)],
        [put(b) for b in np.abs(random(3, *SHAPE))],
    )
    again = [edge.copy() for edge in edges]
    out = put(random(*SHAPE))
    shrink_edges(edges, chi, bounds, 1.6, SCALE, out=out)
    expected = shrink_edges(again, chi, bounds, 1.6, SCALE)
    np.testing.assert_array_equal(to_numpy(out), to_numpy(expected))


def test_prices_are_the_same_on_a_device(device):
    mask, magnitude = random(*SHAPE) > -1, random(*SHAPE)
    there = Domain.around(device(mask), SIDES, 2.0)
    got = edge_prices(there, device(magnitude), 0.3)
    expected = edge_prices(Domain.around(mask, SIDES, 2.0), magnitude, 0.3)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a.get(), b)


def test_a_step_from_nothing_takes_the_gradients_and_pulls_to_what_is_left_of_them():
    chi, edges = random(*SHAPE), np.zeros((3, *SHAPE), np.float32)
    gradients = [forward(chi, axis, SCALE[axis]) for axis in range(3)]
    pull = shrink_edges(list(edges), chi, [np.full(SHAPE, 0.1, np.float32)] * 3, 1.0, SCALE)
    np.testing.assert_allclose(edges, gradients, atol=1e-6)
    # the copy is the gradient shrunk by 0.1, its dual is what was taken
    less = [
        np.sign(g) * (np.abs(g) - 0.2) * (np.abs(g) > 0.1) - g * (np.abs(g) <= 0.1)
        for g in gradients
    ]
    np.testing.assert_allclose(pull, adjoint(less, SCALE), atol=1e-5)


def domain_of(mask):
    return Domain.around(mask, (1.0, 1.0, 1.0), 0.0)


def test_gradients_inside_the_mask_cost_1_and_those_that_leave_it_nothing():
    mask = np.zeros((4, 4, 6), bool)
    mask[1:3, 1:3, 2:5] = True
    domain = Domain.around(mask, (1.0, 1.0, 1.0), 2.0)
    z, _, x = edge_prices(domain, None, 0.3)
    assert (z.sum(), x.sum()) == (2 * 3, 2 * 2 * 2)
    assert set(np.unique(np.stack([z, x]))) == {0, 1}


def test_the_share_of_gradients_with_the_largest_change_of_magnitude_costs_less():
    mask = np.ones((8, 8, 8), bool)
    prices = np.stack(edge_prices(domain_of(mask), random(8, 8, 8), 0.25))
    inside = prices[:, :-1, :-1, :-1]
    assert set(np.unique(inside)) == {EDGE_PRICE, 1}
    assert (inside < 1).mean() == pytest.approx(0.25, abs=0.03)


def test_it_is_at_the_edge_of_the_magnitude_that_gradients_cost_less():
    magnitude = np.where(np.arange(8) < 5, 1.0, 2.0) * np.ones((8, 8, 8))
    z, y, x = edge_prices(domain_of(np.ones((8, 8, 8), bool)), magnitude, 0.3)
    assert (x[:, :, 4] == EDGE_PRICE).all()
    assert (np.delete(x, 4, axis=2)[:, :, :6] == 1).all()
    assert (z[:7] == 1).all()
    assert (y[:, :7] == 1).all()


@pytest.mark.parametrize(("magnitude", "share"), [(None, 0.3), (np.arange(64.0), 0.0)])
def test_without_magnitude_or_share_all_cost_the_same(magnitude, share):
    image = None if magnitude is None else magnitude.reshape(4, 4, 4)
    prices = edge_prices(domain_of(np.ones((4, 4, 4), bool)), image, share)
    assert all((p[:3, :3, :3] == 1).all() for p in prices)


def test_a_single_voxel_has_no_gradients():
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 2, 1] = True
    assert not any(
        p.any() for p in edge_prices(Domain.around(mask, (1, 1, 1), 2), random(4, 4, 4), 0.3)
    )


def test_differences_and_their_spectrum_are_the_same_on_a_device(device):
    x, edges = random(*SHAPE), random(3, *SHAPE)
    for axis, factor in enumerate(SCALE):
        np.testing.assert_allclose(
            forward(device(x), axis, factor).get(), forward(x, axis, factor), atol=1e-6
        )
    got = adjoint([device(edge) for edge in edges], SCALE)
    np.testing.assert_allclose(got.get(), adjoint(list(edges), SCALE), atol=1e-6)
    spectrum = squared_spectrum(SHAPE, SCALE, like=device(x))
    np.testing.assert_allclose(spectrum.get(), squared_spectrum(SHAPE, SCALE, like=x), atol=1e-6)
