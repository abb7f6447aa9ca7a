"""numpy or cupy, whichever an array belongs to. Nothing outside this folder imports cupy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numba
import numpy as np
import scipy.fft
import scipy.ndimage

Array = Any  # numpy.ndarray or cupy.ndarray; cupy has no usable static types


def on_device(x: Array) -> bool:
    """Tell whether an array is cupy's."""
    cupy = sys.modules.get("cupy")  # an array of cupy's exists only where cupy was imported
    return cupy is not None and isinstance(x, cupy.ndarray)


def array_module(x: Array) -> ModuleType:
    """Return numpy or cupy, the module that `x` belongs to."""
    return sys.modules["cupy"] if on_device(x) else np


def fft_module(x: Array) -> ModuleType:
    """Return scipy.fft or cupyx.scipy.fft; both keep float32 and complex64."""
    if on_device(x):
        import cupyx.scipy.fft

        return cupyx.scipy.fft
    return scipy.fft


def ndimage_module(x: Array) -> ModuleType:
    """Return scipy.ndimage or cupyx.scipy.ndimage."""
    if on_device(x):
        import cupyx.scipy.ndimage

        return cupyx.scipy.ndimage
    return scipy.ndimage


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of numpy arrays with numba; as a decorator.

    The machine code is kept on disk, or, where no folder for it can be written, as in a read-only
    container, in this process alone. While it runs, other threads read from the scanner and send.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


def to_numpy(x: Array) -> np.ndarray:
    """Return `x` in host memory, without a copy when it is there already."""
    return x.get() if on_device(x) else np.asarray(x)


def slabs(volume: Array, axis: int = 0) -> Iterator[slice]:
    """Cut an axis into pieces that are worked on together.

    Of a host array single planes, which stay in the cache; of a device array, where every call
    costs the same however much it does, all of them.
    """
    planes = volume.shape[axis]
    step = max(planes, 1) if on_device(volume) else 1
    for start in range(0, planes, step):
        yield slice(start, start + step)
