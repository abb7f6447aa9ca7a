from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadgetron_qsm.inversion.tgv import tgv
from gadgetron_qsm.inversion.tgv_steps import (
    DUALS,
    PRIMALS,
    Problem,
    dual_step,
    plain_dual_step,
    plain_primal_step,
    primal_step,
)
from tests.analytic import OBLIQUE, ball, coordinates, distance, sphere_field
from tests.inversion.sphere import FIELD, GRIDS, MASK, SHAPE, VOXEL, R, contrast, error, sphere_in

AIR, AIR_MM, AIR_PPM = (0.0, -27.0, 9.0), 8.0, -9.0


def outer_field(shape=SHAPE, voxel_size=VOXEL, b0=OBLIQUE):
    """Field of air beside the mask: fifty times that of the sphere inside."""
    return AIR_PPM * sphere_field(shape, voxel_size, AIR_MM, b0, AIR)


def solve(field, mask=MASK, voxel_size=VOXEL, b0=OBLIQUE, iterations=200, **how):
    return tgv(field, mask, voxel_size, b0, iterations=iterations, **how)[0]


@pytest.mark.parametrize(
    ("shape", "voxel_size", "true_chi"),
    [(*GRIDS[0], 0.1), (*GRIDS[0], -0.1), (*GRIDS[1], 0.1), (*GRIDS[2], 0.1)],
)
def test_a_sphere_under_a_strong_background_comes_back_with_its_sign_and_size(
    shape, voxel_size, true_chi
):
    field, mask = sphere_in(shape, voxel_size, chi=true_chi)
    chi = solve(field + outer_field(shape, voxel_size), mask, voxel_size, iterations=2000)
    assert contrast(chi, distance(shape, voxel_size)) == pytest.approx(true_chi, rel=0.15)


@pytest.mark.parametrize("b0", [(1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_a_sphere_comes_back_for_any_b0(b0):
    assert error(solve(sphere_in(SHAPE, VOXEL, b0)[0], b0=b0, iterations=1000)) < 0.12


def test_a_wrong_b0_gives_a_much_worse_sphere():
    right, wrong = (solve(FIELD, b0=b, iterations=500) for b in (OBLIQUE, (0.8, 0.36, 0.48)))
    assert error(wrong) > 2 * error(right)


def test_wraps_change_nothing():
    period = 0.5
    field = FIELD + outer_field() + 0.06 * coordinates(SHAPE, VOXEL)[1]
    assert (np.abs(field[MASK]) > period / 2).mean() > 0.5
    wrapped = (field - period * np.round(field / period)).astype(np.float32)
    expected = solve(field, iterations=20)
    np.testing.assert_allclose(
        solve(wrapped, period_ppm=period, iterations=20), expected, atol=1e-3 * expected.max()
    )
    assert np.abs(solve(wrapped, iterations=20) - expected).max() > 0.1


def test_harmonic_fields_change_nothing():
    z, y, x = coordinates(SHAPE, VOXEL) / 20
    shim = 1 + 2 * z - y + x * y + 0.5 * (z**2 - x**2)
    np.testing.assert_allclose(
        solve(FIELD + 0.1 * shim, iterations=50), solve(FIELD, iterations=50), atol=2e-4
    )


def test_more_regularisation_gives_less_total_variation():
    noisy = FIELD + 0.01 * np.random.default_rng(0).standard_normal(SHAPE)
    chis = [solve(noisy, regularisation=r) for r in (3e-6, 3e-5, 3e-4)]
    a, b, c = (sum(np.abs(np.diff(chi, axis=axis)).sum() for axis in range(3)) for chi in chis)
    assert a > 1.1 * b > 1.2 * c


def test_a_ramp_survives_where_curvature_costs_little():
    y = coordinates(SHAPE, VOXEL)[1]
    field, inner = _field_of(0.01 * y * (R < 12)) * MASK, R < 8
    bent, stiff = (
        solve(field, regularisation=3e-4, curvature=c, iterations=500)[inner] for c in (0.3, 1e3)
    )
    slopes = [(chi * y[inner]).sum() / (y[inner] ** 2).sum() for chi in (bent, stiff)]
    assert slopes[0] > 0.006
    assert slopes[1] < 0.003


def _field_of(chi):
    """Field of any sources whose images may wrap around."""
    k = np.stack(np.meshgrid(*(np.fft.fftfreq(n) for n in chi.shape), indexing="ij"))
    square = (k**2).sum(axis=0)
    square[0, 0, 0] = 1
    kernel = 1 / 3 - np.tensordot(OBLIQUE, k, 1) ** 2 / square
    kernel[0, 0, 0] = 0
    return np.fft.ifftn(kernel * np.fft.fftn(chi)).real


def test_a_field_of_no_weight_is_ignored():
    at = distance(SHAPE, VOXEL, (8, 8, 0))
    weight = np.where(at < 4, 0, 1).astype(np.float32)
    field = FIELD + 0.05 * (at < 2)
    weighted = (solve(f, weight=weight) for f in (field, FIELD))
    plain = (solve(f) for f in (field, FIELD))
    changes = [np.abs(a - b).max() for a, b in (weighted, plain)]
    assert changes[0] < 0.5 * changes[1]


def test_what_is_outside_the_mask_has_no_say():
    inside = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    broken, clean = (
        solve(np.where(MASK, FIELD, outside), weight=np.where(MASK, inside, outside), iterations=4)
        for outside in (np.nan, 0)
    )
    np.testing.assert_array_equal(broken, clean)


def test_the_mask_comes_back_whole_and_chi_is_0_outside():
    chi, mask = tgv(FIELD.astype(float), MASK, VOXEL, OBLIQUE, iterations=2)
    np.testing.assert_array_equal(mask, MASK)
    assert chi.dtype == np.float32
    assert not chi[~MASK].any()


def test_it_is_the_same_on_a_device(device):
    weight = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    how = {"iterations": 5, "period_ppm": 0.1}
    chi, mask = tgv(device(FIELD), device(MASK), VOXEL, OBLIQUE, weight=device(weight), **how)
    expected, _ = tgv(FIELD, MASK, VOXEL, OBLIQUE, weight=weight, **how)
    np.testing.assert_allclose(chi.get(), expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(mask.get(), MASK)


def some_problem(rng):
    """Three voxels a side in a grid of five, and arrays full of numbers there."""
    shape, strides = (5, 5, 5), (25, 5, 1)
    voxels = np.flatnonzero(np.pad(np.ones((3, 3, 3)), 1))
    flat = np.zeros(125, np.float32)
    flat[voxels] = 1
    offsets = [int(np.dot(np.subtract(n, 1), strides)) for n in np.ndindex(3, 3, 3)]
    numbers = lambda n: tuple(rng.uniform(0.1, 1, n).astype(np.float32))  # noqa: E731
    problem = Problem(
        voxels=voxels,
        ahead=np.stack([flat[voxels + s] for s in strides]),
        behind=np.stack([flat[voxels - s] for s in strides]),
        inner=(rng.random(27) < 0.5).astype(np.float32),
        aim=rng.standard_normal(27).astype(np.float32),
        damping=np.array(numbers(27)),
        offsets=tuple(offsets),
        wave=numbers(27),
        laplace=numbers(27),
        strides=strides,
        scale=numbers(3),
        primal_steps=numbers(PRIMALS),
        dual_steps=numbers(DUALS),
    )
    arrays = [np.zeros((rows, *shape), np.float32) for rows in (PRIMALS, PRIMALS, DUALS)]
    for array in arrays:
        array[:, 1:-1, 1:-1, 1:-1] = rng.standard_normal((len(array), 3, 3, 3))
    primal, ahead, dual = (array.reshape(len(array), -1) for array in arrays)
    dual[0, voxels] *= problem.inner
    return problem, primal, ahead, dual


@pytest.mark.parametrize("bound", [0.3, 100.0])
def test_compiled_steps_agree_with_those_an_array_at_a_time(bound):
    results = []
    for duals, primals in ((dual_step, primal_step), (plain_dual_step, plain_primal_step)):
        problem, primal, ahead, dual = some_problem(np.random.default_rng(0))
        duals(problem, dual, ahead, np.float32(bound), np.float32(2 * bound))
        primals(problem, primal, ahead, dual)
        results.append((dual, primal, ahead))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain, atol=2e-5 * np.abs(plain).max())


@pytest.mark.parametrize("bound", [0.3, 100.0])
def test_so_do_those_of_a_device(device, bound):
    problem, *arrays = some_problem(np.random.default_rng(0))
    primal, ahead, dual = (device(array) for array in arrays)
    fields = ("voxels", "ahead", "behind", "inner", "aim", "damping")
    there = replace(problem, **{name: device(getattr(problem, name)) for name in fields})
    bounds = np.float32(bound), np.float32(2 * bound)
    for p, (of_primal, of_ahead, of_dual) in ((problem, arrays), (there, (primal, ahead, dual))):
        dual_step(p, of_dual, of_ahead, *bounds)
        primal_step(p, of_primal, of_ahead, of_dual)
    for got, expected in zip((primal, ahead, dual), arrays, strict=True):
        np.testing.assert_allclose(got.get(), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"mask": np.zeros(SHAPE, bool)}, "the mask is empty"),
        ({"mask": ball(SHAPE, VOXEL, 2)}, "the mask is nowhere 5 voxels thick"),
        ({"regularisation": 0.0}, "regularisation is 0; it must be above 0"),
        ({"curvature": -1.0}, "curvature is -1; it must be above 0"),
    ],
)
def test_what_cannot_be_solved_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        solve(FIELD, **how)
