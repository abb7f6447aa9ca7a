"""numpy or cupy, whichever an array belongs to. Nothing else in the package imports cupy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numba
import numpy as np
import scipy.fft
import scipy.ndimage
from threadpoolctl import ThreadpoolController

Array = Any  # numpy.ndarray or cupy.ndarray; cupy has no usable static types


def _is_device(x: Array) -> bool:
    cupy = sys.modules.get("cupy")  # an array of cupy's exists only where cupy was imported
    return cupy is not None and isinstance(x, cupy.ndarray)


def array_module(x: Array) -> ModuleType:
    """Return numpy or cupy, the module that `x` belongs to."""
    return sys.modules["cupy"] if _is_device(x) else np


def fft_module(x: Array) -> ModuleType:
    """Return scipy.fft or cupyx.scipy.fft; both keep float32 and complex64."""
    if _is_device(x):
        import cupyx.scipy.fft

        return cupyx.scipy.fft
    return scipy.fft


def ndimage_module(x: Array) -> ModuleType:
    """Return scipy.ndimage or cupyx.scipy.ndimage."""
    if _is_device(x):
        import cupyx.scipy.ndimage

        return cupyx.scipy.ndimage
    return scipy.ndimage


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of numpy arrays with numba; as a decorator.

    The machine code is kept on disk, or, where no folder for it can be written, as in a read-only
    container, in this process alone.
    """
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:
        return numba.njit(function)


@contextmanager
def processors() -> Iterator[None]:
    """Within this, Fourier transforms run on all processors, and matrix products on one.

    The products of a scan are many and small: BLAS's threads wait for each other far longer than
    they compute as soon as another program wants a processor.
    """
    one_thread = ThreadpoolController().limit(limits=1, user_api="blas")
    with scipy.fft.set_workers(os.cpu_count() or 1), one_thread:
        yield


def to_numpy(x: Array) -> np.ndarray:
    """Return `x` in host memory, without a copy when it is there already."""
    return x.get() if _is_device(x) else np.asarray(x)
