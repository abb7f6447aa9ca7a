"""Whole turns of a phase, in rad."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

TWO_PI = 2 * np.pi
TURN = np.float32(TWO_PI)  # keeps phases single precision


def wrapped(phase: Array) -> Array:
    """Return a phase, or steps of one, float32, within half a turn of 0."""
    xp = array_module(phase)
    return (phase - _whole(phase)).astype(xp.float32, copy=False)


def nearest_turn(phase: Array, guide: Array) -> Array:
    """Return a phase turned, by a multiple of 2 pi, to where it is nearest to `guide`."""
    return phase + _whole(guide - phase)


def _whole(phase: Array) -> Array:
    """Nearest multiple of 2 pi."""
    turns = phase / TURN
    array_module(turns).rint(turns, out=turns)
    turns *= TURN
    return turns
