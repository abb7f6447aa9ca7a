"""What partial Fourier and asymmetric echoes left out of k-space: zeros, or POCS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.pocs import pocs

LINES = "partial Fourier: lines that were not acquired are zero"
SAMPLES = "asymmetric echoes: samples that were not acquired are zero"
ROUNDING = 2  # samples at the ends of a readout that turning and cropping it may cost

Range = tuple[int, int]


def fill_partial_fourier(
    hybrid: Callable[[], Array],
    announced: np.ndarray,
    readouts: Sequence[Range],
    samples: int,
    *,
    parts: Sequence[slice],
    method: str,
    journal: Journal,
) -> None:
    """Fill what was never to be acquired by POCS, or leave it with a warning.

    hybrid() is the data (echo, coil, kz, ky, x), asked for when it is needed; announced (kz, ky)
    bool; readouts: range of kx that was acquired, of each echo, of `samples` along x. `parts` are
    of kz, each a k-space of its own: the slices of a 2D scan. method is 'pocs' or 'zero'.
    """
    asymmetric = any(stop - first < samples - ROUNDING for first, stop in readouts)
    lines_left_out = not announced.all()
    if method == "zero":
        for left_out, text in ((lines_left_out, LINES), (asymmetric, SAMPLES)):
            if left_out:
                journal.warn(text)
        return
    if not (asymmetric or lines_left_out):
        return
    with journal.stage("partial_fourier", method="POCS"):
        for data, readout in zip(hybrid(), readouts, strict=True):
            for part in parts:
                kz, ky = (_span(np.any(announced[part], axis=axis)) for axis in (1, 0))
                pocs(data[:, part], (kz, ky, readout))


def acquired(first: float, last: float, samples: int) -> Range:
    """Range of kx that a readout covers, of `samples` about k = 0 at n//2.

    first, last: its first and last sample about k = 0, in parts of a whole readout.
    """
    centre = samples // 2
    start, stop = math.ceil(first * samples) + centre, math.floor(last * samples) + centre + 1
    return max(0, start), min(samples, stop)


def _span(lines: Any) -> Range:
    used = np.flatnonzero(lines)
    return int(used[0]), int(used[-1]) + 1
