"""Conjugate gradients on volumes, numpy's or cupy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gadgetron_qsm.arrays import Array

Operator = Callable[[Array], Array]


def conjugate_gradients(
    operator: Operator,
    right: Array,
    *,
    iterations: int,
    tolerance: float,
    precondition: Operator | None = None,
) -> Array:
    """Solve operator(x) = right from x = 0; the operator is symmetric and not negative.

    Stops after `iterations`, or when the residual falls below `tolerance` times that of the start
    (both as `precondition`, symmetric and positive, measures them). Scalars are of double
    precision. Returns x like `right`. Hestenes and Stiefel 1952, doi:10.6028/jres.049.044.
    """
    x = right * np.float32(0)
    residual = right.copy()
    towards = residual if precondition is None else precondition(residual)
    direction, size = towards, dot(residual, towards)
    enough = tolerance**2 * size
    for _ in range(iterations):
        if size <= enough:
            break
        image = operator(direction)
        step = np.float32(size / dot(direction, image))
        x += step * direction
        residual -= step * image
        towards = residual if precondition is None else precondition(residual)
        before, size = size, dot(residual, towards)
        direction = towards + np.float32(size / before) * direction
    return x


def dot(a: Array, b: Array) -> float:
    """Inner product of two real volumes, summed in double precision."""
    return float((a * b).sum(dtype=np.float64))
