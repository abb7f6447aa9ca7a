"""The primal-dual steps of TGV-QSM on a device, each in one call: array by array they take 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.arrays.kernels import Elementwise

if TYPE_CHECKING:
    from gadgetron_qsm.inversion.tgv_steps import Problem


def dual_together(
    problem: Problem, dual: Array, ahead: Array, slope: np.float32, bend: np.float32
) -> None:
    """`tgv_steps.dual_step`: a voxel reads neighbours' primal values and writes its dual ones."""
    p, tables = problem, problem.tables
    data = p.voxels, p.inner, p.aim, ahead, p.ahead, p.behind
    _DUAL(*data, *tables.stencil, *tables.grid, tables.dual_steps, slope, bend, dual.shape[1], dual)


def primal_together(problem: Problem, primal: Array, ahead: Array, dual: Array) -> None:
    """`tgv_steps.primal_step`: a voxel reads neighbours' dual values and writes its primal ones."""
    p, tables = problem, problem.tables
    data = p.voxels, p.damping, dual, p.behind
    _PRIMAL(*data, *tables.stencil, *tables.grid, tables.primal_steps, dual.shape[1], primal, ahead)


_DUAL = Elementwise(
    "tgv_dual",
    "T at, float32 inner, float32 aim, raw float32 primal, raw float32 ahead, raw float32 behind, "
    "raw int32 offsets, raw float32 wave, raw float32 laplace, raw int32 strides, "
    "raw float32 scale, raw float32 lengths, float32 slope, float32 bend, int32 volume",
    "raw float32 dual",
    """
    const ptrdiff_t voxels = _ind.size(), row = volume;
    float missing = -aim;
    for (int k = 0; k < (int)offsets.size(); ++k) {
        const ptrdiff_t there = at + offsets[k];
        missing += wave[k] * primal[there] + laplace[k] * primal[row + there];
    }
    dual[at] = (dual[at] + lengths[0] * missing) * inner;
    float edge[3], slopes[9], bent[6], square = 0.0f;
    for (int a = 0; a < 3; ++a) {
        const float smooth = primal[(2 + a) * row + at];
        const float gradient = scale[a] * (primal[at + strides[a]] - primal[at]) - smooth;
        edge[a] = dual[(1 + a) * row + at] + lengths[1 + a] * ahead[a * voxels + i] * gradient;
        square += edge[a] * edge[a];
        for (int b = 0; b < 3; ++b) {
            const float back = smooth - primal[(2 + a) * row + at - strides[b]];
            slopes[3 * a + b] = scale[b] * behind[b * voxels + i] * back;
        }
    }
    float shrink = max(sqrtf(square) / slope, 1.0f);
    for (int a = 0; a < 3; ++a) {
        dual[(1 + a) * row + at] = edge[a] / shrink;
        bent[a] = slopes[4 * a];
    }
    bent[3] = (slopes[1] + slopes[3]) / 2;
    bent[4] = (slopes[2] + slopes[6]) / 2;
    bent[5] = (slopes[5] + slopes[7]) / 2;
    square = 0.0f;
    for (int k = 0; k < 6; ++k) {
        bent[k] = dual[(4 + k) * row + at] + lengths[4 + k] * bent[k];
        square += (k < 3 ? 1.0f : 2.0f) * bent[k] * bent[k];
    }
    shrink = max(sqrtf(square) / bend, 1.0f);
    for (int k = 0; k < 6; ++k) dual[(4 + k) * row + at] = bent[k] / shrink
    """,
)
_PRIMAL = Elementwise(
    "tgv_primal",
    "T at, float32 damping, raw float32 dual, raw float32 behind, raw int32 offsets, "
    "raw float32 wave, raw float32 laplace, raw int32 strides, raw float32 scale, "
    "raw float32 lengths, int32 volume",
    "raw float32 primal, raw float32 ahead",
    """
    const ptrdiff_t voxels = _ind.size(), row = volume;
    float pull = 0.0f, push = 0.0f, found[5];
    for (int k = 0; k < (int)offsets.size(); ++k) {
        const float there = dual[at + offsets[k]];
        pull += wave[k] * there;
        push += laplace[k] * there;
    }
    for (int a = 0; a < 3; ++a)
        pull += scale[a] * (dual[(1 + a) * row + at - strides[a]] - dual[(1 + a) * row + at]);
    found[0] = primal[at] - lengths[0] * pull;
    found[1] = (primal[row + at] - lengths[1] * push) / (1.0f + lengths[1] * damping);
    for (int a = 0; a < 3; ++a) {
        pull = -dual[(1 + a) * row + at];
        for (int b = 0; b < 3; ++b) {
            const ptrdiff_t bent = (a == b ? 4 + a : 6 + a + b) * row + at;
            pull += scale[b] * (behind[b * voxels + i] * dual[bent] - dual[bent + strides[b]]);
        }
        found[2 + a] = primal[(2 + a) * row + at] - lengths[2 + a] * pull;
    }
    for (int k = 0; k < 5; ++k) {
        ahead[k * row + at] = 2.0f * found[k] - primal[k * row + at];
        primal[k * row + at] = found[k];
    }
    """,
)
