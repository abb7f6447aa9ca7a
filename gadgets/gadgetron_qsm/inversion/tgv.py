"""Total generalised variation: susceptibility from the Laplacian of a field, wrapped or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.inversion.gradient import scales
from gadgetron_qsm.inversion.tgv_steps import DUALS, PAIRS, PRIMALS, Problem, dual_step, primal_step

EDGES = 0.3  # how much gradients count in the step lengths, relative to Laplacians
PACE = 100.0  # primal steps relative to dual ones; both set only how soon it converges
PEELED = 1  # layers of voxels, where the Laplacian is poorest, whose data do not count


def tgv(
    total_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    period_ppm: float | None = None,
    regularisation: float = 5e-5,
    curvature: float = 2.0,
    iterations: int = 1000,
) -> tuple[Array, Array]:
    """Invert a field by its Laplacian, which knows neither wraps nor background, under TGV.

    Minimises 1/2 |W e|^2 + regularisation * (|grad chi - v|_1 + curvature * |sym grad v|_1), where
    the Laplacian of e makes up for what that of the field and that of chi's own field,
    (laplace / 3 - d^2/db^2) chi, differ by, at all voxels whose neighbours lie in the mask.
    total_field (z, y, x) in ppm, known up to multiples of `period_ppm` (a wrapped phase) where
    that is given; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction unit vector
    (z, y, x). `weight` and `regularisation` (ppm) as in `tv`.
    First-order primal-dual steps on the voxels of the mask, no Fourier transforms.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced, and the mask.
    Raises ValueError when the mask is empty or nowhere three voxels thick, or a parameter is out
    of range.
    Langkammer et al. 2015, doi:10.1016/j.neuroimage.2015.02.041; step lengths: Pock and Chambolle
    2011, doi:10.1109/ICCV.2011.6126441.
    """
    for name, value in (("regularisation", regularisation), ("curvature", curvature)):
        if not value > 0:
            raise ValueError(f"the {name} is {value:g}; it must be above 0")
    xp = array_module(total_field)
    domain = Domain.around(mask, voxel_size, 2 * max(voxel_size))
    steps = _steps(domain, total_field, period_ppm)
    problem = _problem(domain, weight, steps, voxel_size, b0_direction)
    size = int(np.prod(domain.shape))
    primal, ahead = (xp.zeros((PRIMALS, size), xp.float32) for _ in range(2))
    dual = xp.zeros((DUALS, size), xp.float32)
    bounds = np.float32(regularisation), np.float32(regularisation * curvature)
    for _ in range(iterations):
        dual_step(problem, dual, ahead, *bounds)
        primal_step(problem, primal, ahead, dual)
    return domain.extract(primal[0].reshape(domain.shape)), mask


def _steps(domain: Domain, field: Array, period_ppm: float | None) -> list[Array]:
    """Return the field's differences to the next voxel of each axis, on the work grid, in ppm."""
    x = domain.embed(field)
    xp = array_module(x)
    steps = [xp.roll(x, -1, axis) - x for axis in range(3)]
    if period_ppm is None:
        return steps
    period = np.float32(period_ppm)
    return [step - period * xp.round(step / period) for step in steps]


def _problem(
    domain: Domain,
    weight: Array | None,
    steps: Sequence[Array],
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
) -> Problem:
    inside, scale = domain.embed(domain.mask), scales(voxel_size)
    xp, flat = array_module(inside), inside.ravel()
    inner = _eroded(inside, 1 + PEELED)
    if not bool(inner.any()):
        raise ValueError(f"the mask is nowhere {2 * PEELED + 3} voxels thick")
    aim = xp.zeros(domain.shape, xp.float32)
    for axis, step in enumerate(steps):
        aim += np.float32(scale[axis] ** 2) * (step - xp.roll(step, 1, axis))
    at = xp.flatnonzero(inside)
    strides = (domain.shape[1] * domain.shape[2], domain.shape[2], 1)
    wave, laplace = _stencils(scale, b0_direction)
    places = [n for n in np.ndindex(3, 3, 3) if wave[n] or laplace[n]]
    lengths = _step_lengths(np.abs(wave).sum(), np.abs(laplace).sum(), scale)
    return Problem(
        voxels=at,
        ahead=xp.stack([flat[at + stride] for stride in strides]),
        behind=xp.stack([flat[at - stride] for stride in strides]),
        inner=inner.ravel()[at],
        aim=aim.ravel()[at],
        damping=domain.embed(domain.mask if weight is None else weight).ravel()[at] ** 2,
        offsets=tuple(int(np.dot(np.subtract(n, 1), strides)) for n in places),
        wave=tuple(np.float32(wave[n]) for n in places),
        laplace=tuple(np.float32(laplace[n]) for n in places),
        strides=strides,
        scale=tuple(np.float32(s) for s in scale),
        primal_steps=tuple(np.float32(length * PACE) for length in lengths[0]),
        dual_steps=tuple(np.float32(length / PACE) for length in lengths[1]),
    )


def _eroded(inside: Array, layers: int) -> Array:
    """Take layers of voxels with any of the 26 neighbours outside off a mask of 0 and 1."""
    roll = array_module(inside).roll
    for _ in range(layers):
        for axis in range(3):
            inside = inside * roll(inside, 1, axis) * roll(inside, -1, axis)
    return inside


def _stencils(
    scale: Sequence[float], b0_direction: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return laplace / 3 - d^2/db^2, and the Laplacian, as weights (z, y, x) of neighbours."""
    wave, laplace = np.zeros((3, 3, 3)), np.zeros((3, 3, 3))
    for a, b in PAIRS:
        second = _second_difference(a, b) * scale[a] * scale[b]
        mixed = b0_direction[a] * b0_direction[b] * second
        if a == b:
            laplace += second
            wave += second / 3 - mixed
        else:
            wave -= 2 * mixed
    return wave, laplace


def _second_difference(a: int, b: int) -> NDArray[np.float64]:
    """Weights of the second derivative along one axis, or along two, mixed."""
    weights = np.zeros((3, 3, 3))
    one, two = (np.eye(3, dtype=int)[axis] for axis in (a, b))
    centre = np.ones(3, int)
    if a == b:
        weights[tuple(centre + one)] = weights[tuple(centre - one)] = 1
        weights[1, 1, 1] = -2
        return weights
    for s in (1, -1):
        weights[tuple(centre + s * (one + two))] = 0.25
        weights[tuple(centre + s * (one - two))] = -0.25
    return weights


def _step_lengths(
    wave: float, laplace: float, scale: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return the lengths for the rows of the primal and of the dual array.

    One over the sum of what a row or column of the operator multiplies with. wave, laplace: those
    sums for the stencils.
    """
    total = sum(scale)
    primal = [1 / (wave + 2 * EDGES * total), 1 / laplace]
    primal += [1 / (EDGES * (1 + 2 * total)) for _ in scale]
    dual = [1 / (wave + laplace)]
    dual += [EDGES / (1 + 2 * s) for s in scale]
    dual += [EDGES / (scale[a] + scale[b]) for a, b in PAIRS]
    return primal, dual
