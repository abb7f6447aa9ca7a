"""How many processors Fourier transforms and matrix products use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import scipy.fft
from threadpoolctl import ThreadpoolController

OURS = "GADGETRON_QSM_THREADS"
LIBRARIES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@contextmanager
def processors() -> Iterator[None]:
    """Within this, Fourier transforms run on all processors, and matrix products on one.

    The products of a scan are many and small: BLAS's threads wait for each other far longer than
    they compute as soon as another program wants a processor.
    """
    one_thread = ThreadpoolController().limit(limits=1, user_api="blas")
    with scipy.fft.set_workers(threads()), one_thread:
        yield


def available() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Return how many of them a scan takes: all, or as the variable OURS says."""
    asked = os.environ.get(OURS, "")
    return int(asked) if asked.isdecimal() and int(asked) else available()


@contextmanager
def sharing(processes: int) -> Iterator[None]:
    """Within this, start one of so many processes that share the processors.

    What a user has set of LIBRARIES stays.
    """
    share = str(max(1, threads() // processes))
    names = [OURS, *(name for name in LIBRARIES if name not in os.environ)]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, share))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
