"""The primal-dual steps of TGV-QSM on the voxels of a mask, compiled on the CPU, fused on a device.

All volumes are flat, with a rim of zeros, so that a neighbour is an offset away. Rows of the primal
array: chi, e (what the data leave unexplained), v (3: smooth part of the gradient). Rows of the
dual array: the Laplacian's, the gradient's (3), the symmetric gradient's (6, as PAIRS).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.inversion.tgv_kernels import dual_together, primal_together

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
PRIMALS, DUALS = 5, 10


class Tables(NamedTuple):
    """A problem's numbers as arrays beside the voxels.

    stencil: offsets, wave, laplace; grid: strides, scale.
    """

    stencil: tuple[Array, Array, Array]
    grid: tuple[Array, Array]
    primal_steps: Array
    dual_steps: Array


@dataclass(frozen=True)
class Problem:
    """What the steps need to know of mask, data and grid.

    voxels: flat indices of the mask; ahead, behind (axis, voxel): 1 where the next or the last
    voxel of an axis is in the mask, else 0; inner: 1 where the data count; aim: their Laplacian;
    damping: of the unexplained, by the weight. offsets: to the voxels of the stencil; wave,
    laplace: its weights, of chi and of the unexplained; strides and scale (z, y, x) of
    differences. primal_steps, dual_steps: their lengths, as the rows of the arrays.
    """

    voxels: Array
    ahead: Array
    behind: Array
    inner: Array
    aim: Array
    damping: Array
    offsets: tuple[int, ...]
    wave: tuple[np.float32, ...]
    laplace: tuple[np.float32, ...]
    strides: tuple[int, ...]
    scale: tuple[np.float32, ...]
    primal_steps: tuple[np.float32, ...]
    dual_steps: tuple[np.float32, ...]

    @cached_property
    def tables(self) -> Tables:
        """Return the tables, moved once for all iterations."""
        there = array_module(self.voxels).asarray
        offsets, strides = (there(np.array(n, np.int32)) for n in (self.offsets, self.strides))
        wave, laplace, scale, primal_steps, dual_steps = (
            there(np.array(numbers, np.float32))
            for numbers in (
                self.wave, self.laplace, self.scale, self.primal_steps, self.dual_steps
            )
        )  # fmt: skip
        return Tables((offsets, wave, laplace), (strides, scale), primal_steps, dual_steps)


def dual_step(
    problem: Problem, dual: Array, ahead: Array, slope: np.float32, bend: np.float32
) -> None:
    """Move the dual array on from the extrapolated primal one `ahead`.

    slope, bend: largest lengths of the gradient's and of the symmetric gradient's rows.
    In one pass over memory; `plain_dual_step` is the same, an array at a time.
    """
    if array_module(dual) is not np:
        dual_together(problem, dual, ahead, slope, bend)
        return
    p = problem
    grid = np.array(p.strides), np.array(p.scale), np.array(p.dual_steps)
    stencil = np.array(p.offsets), np.array(p.wave), np.array(p.laplace)
    _dual(dual, ahead, p.voxels, p.ahead, p.behind, p.inner, p.aim, *stencil, *grid, slope, bend)


def primal_step(problem: Problem, primal: Array, ahead: Array, dual: Array) -> None:
    """Move the primal array on, and `ahead` to its extrapolation; as `dual_step`."""
    if array_module(primal) is not np:
        primal_together(problem, primal, ahead, dual)
        return
    p = problem
    grid = np.array(p.strides), np.array(p.scale), np.array(p.primal_steps)
    stencil = np.array(p.offsets), np.array(p.wave), np.array(p.laplace)
    _primal(primal, ahead, dual, p.voxels, p.behind, p.damping, *stencil, *grid)


def plain_dual_step(
    problem: Problem, dual: Array, ahead: Array, slope: np.float32, bend: np.float32
) -> None:
    """`dual_step`, an array at a time."""
    xp, at, length = array_module(dual), problem.voxels, problem.dual_steps
    chi, rest, smooth = ahead[0], ahead[1], ahead[2:]
    missing = _stencil(problem, problem.wave, chi) + _stencil(problem, problem.laplace, rest)
    dual[0, at] = (dual[0, at] + length[0] * (missing - problem.aim)) * problem.inner
    rows = []
    for axis, (stride, scale) in enumerate(zip(problem.strides, problem.scale, strict=True)):
        gradient = scale * (chi[at + stride] - chi[at]) - smooth[axis, at]
        rows.append(dual[1 + axis, at] + length[1 + axis] * problem.ahead[axis] * gradient)
    shrink = xp.maximum(xp.sqrt(rows[0] ** 2 + rows[1] ** 2 + rows[2] ** 2) / slope, 1)
    for axis, row in enumerate(rows):
        dual[1 + axis, at] = row / shrink
    rows, square = [], xp.zeros(at.shape, xp.float32)
    for n, (a, b) in enumerate(PAIRS):
        bent = (_slope(problem, smooth[a], b) + _slope(problem, smooth[b], a)) / 2
        rows.append(dual[4 + n, at] + length[4 + n] * bent)
        square += np.float32(1 if a == b else 2) * rows[-1] ** 2
    shrink = xp.maximum(xp.sqrt(square) / bend, 1)
    for n, row in enumerate(rows):
        dual[4 + n, at] = row / shrink


def plain_primal_step(problem: Problem, primal: Array, ahead: Array, dual: Array) -> None:
    """`primal_step`, an array at a time."""
    at, length = problem.voxels, problem.primal_steps
    pull = _stencil(problem, problem.wave, dual[0])
    for axis, (stride, scale) in enumerate(zip(problem.strides, problem.scale, strict=True)):
        pull += scale * (dual[1 + axis, at - stride] - dual[1 + axis, at])
    moved = [primal[0, at] - length[0] * pull]
    rest = primal[1, at] - length[1] * _stencil(problem, problem.laplace, dual[0])
    moved.append(rest / (1 + length[1] * problem.damping))
    for axis in range(3):
        pull = -dual[1 + axis, at]
        for other, (stride, scale) in enumerate(zip(problem.strides, problem.scale, strict=True)):
            row = dual[4 + PAIRS.index((min(axis, other), max(axis, other)))]
            pull += scale * (problem.behind[other] * row[at] - row[at + stride])
        moved.append(primal[2 + axis, at] - length[2 + axis] * pull)
    for row, values in enumerate(moved):
        ahead[row, at] = 2 * values - primal[row, at]
        primal[row, at] = values


def _stencil(problem: Problem, weights: tuple[np.float32, ...], x: Array) -> Array:
    total = array_module(x).zeros(problem.voxels.shape, np.float32)
    for offset, weight in zip(problem.offsets, weights, strict=True):
        if weight:
            total += weight * x[problem.voxels + offset]
    return total


def _slope(problem: Problem, x: Array, axis: int) -> Array:
    back = x[problem.voxels] - x[problem.voxels - problem.strides[axis]]
    return problem.scale[axis] * problem.behind[axis] * back


@compiled
def _dual(  # type: ignore[no-untyped-def]
    dual, primal, voxels, ahead, behind, inner, aim, offsets, wave, laplace, strides, scale,
    lengths, slope, bend,
):  # fmt: skip
    chi, rest, smooth = primal[0], primal[1], primal[2:]
    one, two = np.float32(1), np.float32(2)
    slopes = np.empty((3, 3), np.float32)
    for n in range(len(voxels)):
        at = voxels[n]
        if inner[n] > 0:
            missing = -aim[n]
            for k in range(len(offsets)):
                there = at + offsets[k]
                missing += wave[k] * chi[there] + laplace[k] * rest[there]
            dual[0, at] += lengths[0] * missing
        square = np.float32(0)
        for a in range(3):
            gradient = scale[a] * (chi[at + strides[a]] - chi[at]) - smooth[a, at]
            dual[1 + a, at] += lengths[1 + a] * ahead[a, n] * gradient
            square += dual[1 + a, at] ** 2
            for b in range(3):
                back = smooth[a, at] - smooth[a, at - strides[b]]
                slopes[a, b] = scale[b] * behind[b, n] * back
        shrink = max(np.sqrt(square) / slope, one)
        square = np.float32(0)
        row = 7
        for a in range(3):
            dual[1 + a, at] /= shrink
            dual[4 + a, at] += lengths[4 + a] * slopes[a, a]
            square += dual[4 + a, at] ** 2
            for b in range(a + 1, 3):
                dual[row, at] += lengths[row] * (slopes[a, b] + slopes[b, a]) / two
                square += two * dual[row, at] ** 2
                row += 1
        shrink = max(np.sqrt(square) / bend, one)
        for k in range(4, 10):
            dual[k, at] /= shrink


@compiled
def _primal(  # type: ignore[no-untyped-def]
    primal, ahead, dual, voxels, behind, damping, offsets, wave, laplace, strides, scale, lengths
):
    laplacian, two, one = dual[0], np.float32(2), np.float32(1)
    for n in range(len(voxels)):
        at = voxels[n]
        pull, push = np.float32(0), np.float32(0)
        for k in range(len(offsets)):
            there = laplacian[at + offsets[k]]
            pull += wave[k] * there
            push += laplace[k] * there
        for a in range(3):
            pull += scale[a] * (dual[1 + a, at - strides[a]] - dual[1 + a, at])
        moved = primal[0, at] - lengths[0] * pull
        ahead[0, at] = two * moved - primal[0, at]
        primal[0, at] = moved
        moved = (primal[1, at] - lengths[1] * push) / (one + lengths[1] * damping[n])
        ahead[1, at] = two * moved - primal[1, at]
        primal[1, at] = moved
        for a in range(3):
            pull = -dual[1 + a, at]
            for b in range(3):
                row = 4 + a if a == b else 6 + a + b
                pull += scale[b] * (behind[b, n] * dual[row, at] - dual[row, at + strides[b]])
            moved = primal[2 + a, at] - lengths[2 + a] * pull
            ahead[2 + a, at] = two * moved - primal[2 + a, at]
            primal[2 + a, at] = moved
