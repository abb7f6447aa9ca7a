from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.admm import FIT, absolute_misfit, minimise, squared_misfit
from gadgetron_qsm.inversion.edges import edge_prices
from tests.analytic import OBLIQUE, sphere_field

SHAPE, SIDES, REGULARISATION = (16, 18, 20), (1.0, 1.5, 1.2), 3e-4
RNG = np.random.default_rng(0)
FIELD = 0.1 * sphere_field(SHAPE, SIDES, 5, OBLIQUE)
FIELD += 0.005 * RNG.standard_normal(SHAPE).astype(np.float32)
WEIGHT = RNG.uniform(0.3, 1, SHAPE).astype(np.float32)
KERNEL = dipole_kernel(SHAPE, SIDES, OBLIQUE, like=FIELD)
DOMAIN = Domain.around(np.ones(SHAPE, bool), SIDES, 0.0)
PRICES = edge_prices(DOMAIN, RNG.random(SHAPE, np.float32), 0.3)
COSTS = {
    "squared": (squared_misfit(FIELD, WEIGHT), lambda off: (WEIGHT * off**2).sum() / 2),
    "absolute": (
        absolute_misfit(FIELD, 0.01 * WEIGHT),
        lambda off: (0.01 * WEIGHT * np.abs(off)).sum(),
    ),
}
either = pytest.mark.parametrize(("agree", "misfit"), COSTS.values(), ids=COSTS)


def found(agree, iterations, start=None):
    how = {"regularisation": REGULARISATION, "iterations": iterations, "start": start}
    return minimise(agree, KERNEL, DOMAIN, SIDES, PRICES, **how)


def cost(chi, misfit):
    side = np.prod(SIDES) ** (1 / 3)
    gradients = sum(
        (PRICES[axis] * np.abs(np.roll(chi, -1, axis) - chi)).sum() * side / SIDES[axis]
        for axis in range(3)
    )
    off = scipy.fft.irfftn(KERNEL * scipy.fft.rfftn(chi), s=SHAPE) - FIELD
    return misfit(off) + REGULARISATION * gradients


@either
def test_the_result_is_the_minimum_of_the_cost(agree, misfit):
    chi = found(agree, 600).chi.astype(float)
    lowest = cost(chi, misfit)
    noise = np.random.default_rng(1).standard_normal(SHAPE)
    for change in (chi, noise, FIELD, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.03 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, misfit) > lowest


@either
def test_a_proximal_step_has_the_least_of_misfit_and_distance(agree, misfit):
    predicted = FIELD + 0.3 * np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    near = agree(predicted)

    def total(x):
        return misfit(x - FIELD) + float(FIT) / 2 * ((x - predicted) ** 2).sum()

    for step in (1e-3, -1e-3):
        assert total(near + step) > total(near)
        assert total(near + step * np.sign(predicted - FIELD)) > total(near)


@either
def test_to_go_on_from_a_state_is_as_not_to_have_stopped(agree, misfit):
    assert misfit(0 * FIELD) == 0
    there = found(agree, 7, start=found(agree, 5))
    np.testing.assert_array_equal(there.chi, found(agree, 12).chi)


@pytest.mark.parametrize("misfit", [squared_misfit, absolute_misfit])
def test_it_is_the_same_on_a_device(device, misfit):
    expected = found(misfit(FIELD, 0.1 * WEIGHT), 6)
    there = minimise(
        misfit(device(FIELD), device(0.1 * WEIGHT)),
        device(KERNEL),
        DOMAIN,
        SIDES,
        [device(price) for price in PRICES],
        regularisation=REGULARISATION,
        iterations=6,
    )
    for a, b in zip(
        (there.chi, *there.edges, there.field, there.pull),
        (expected.chi, *expected.edges, expected.field, expected.pull),
        strict=True,
    ):
        np.testing.assert_allclose(a.get(), b, atol=1e-5 * np.abs(b).max())
