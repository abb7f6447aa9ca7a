"""How many processors Fourier transforms and matrix products use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import scipy.fft
from threadpoolctl import ThreadpoolController


@contextmanager
def processors() -> Iterator[None]:
    """Within this, Fourier transforms run on all processors, and matrix products on one.

    The products of a scan are many and small: BLAS's threads wait for each other far longer than
    they compute as soon as another program wants a processor.
    """
    one_thread = ThreadpoolController().limit(limits=1, user_api="blas")
    with scipy.fft.set_workers(os.cpu_count() or 1), one_thread:
        yield
