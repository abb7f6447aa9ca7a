"""Conjugate gradients on volumes, numpy's or cupy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.arrays.kernels import Elementwise

Operator = Callable[[Array], Array]

LOOKS = 8  # iterations between looks at the residual of a device, for which the host has to wait


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
    precision. On a device, whose scalars stay there, x stands still from then on, and the host
    finds out within LOOKS iterations. Returns x like `right`.
    Hestenes and Stiefel 1952, doi:10.6028/jres.049.044.
    """
    looks = 1 if array_module(right) is np else LOOKS
    x = right * np.float32(0)
    residual = right.copy()
    towards = residual if precondition is None else precondition(residual)
    # a copy, as it may be the residual itself, which changes before the direction turns
    direction, size = towards.copy(), dot(residual, towards)
    enough = tolerance**2 * size
    for iteration in range(iterations):
        if iteration % looks == 0 and bool(size <= enough):
            break
        image = operator(direction)
        advance(x, residual, direction, image, size, dot(direction, image), enough)
        towards = residual if precondition is None else precondition(residual)
        before, size = size, dot(residual, towards)
        turn(direction, towards, size, before)
    return x


def dot(a: Array, b: Array) -> Array:
    """Inner product of two real volumes, summed in double precision, where they are."""
    return (a * b).sum(dtype=np.float64)


def advance(
    x: Array,
    residual: Array,
    direction: Array,
    image: Array,
    size: Array,
    product: Array,
    enough: Array,
) -> None:
    """Go along a direction, which has that image, in place; nowhere if the size is enough."""
    if array_module(x) is np:
        step = np.float32(size / product)
        x += step * direction
        residual -= step * image
    else:
        _ADVANCE(direction, image, size, product, enough, x, residual)


def turn(direction: Array, towards: Array, size: Array, before: Array) -> None:
    """Turn a direction, in place, towards where the residual shows."""
    if array_module(direction) is np:
        direction *= np.float32(size / before)
        direction += towards
    else:
        _TURN(towards, size, before, direction)


_ADVANCE = Elementwise(
    "cg_advance",
    "T direction, T image, raw float64 size, raw float64 product, raw float64 enough",
    "T x, T residual",
    """
    const T step = size[0] > enough[0] ? T(size[0] / product[0]) : T(0);
    x += step * direction;
    residual -= step * image
    """,
)
_TURN = Elementwise(
    "cg_turn",
    "T towards, raw float64 size, raw float64 before",
    "T direction",
    """
    const T share = before[0] > 0.0 ? T(size[0] / before[0]) : T(0);
    direction = towards + share * direction
    """,
)
