"""Readouts as received, to samples along x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.arrays.feed import Feed, HostFeed

HOST = HostFeed()


def transform_readouts(
    readouts: Sequence[NDArray[np.complex64]],
    encoded: int,
    kept: int,
    *,
    center_sample: int,
    discard: tuple[int, int] = (0, 0),
    reverse: bool = False,
    feed: Feed = HOST,
) -> Array:
    """Transform readouts along x and drop their oversampling; (line, coil, x), x = n//2 the centre.

    readouts: lines of (coil, sample), of one size; `encoded` is the number of samples of a whole
    readout, of which the image's middle `kept` voxels stay. k = 0 is at `center_sample` as
    received; samples that an asymmetric echo lacks are zero. `discard` samples before and behind
    are no signal; `reverse` marks lines that were read backwards. Unitary. The lines are
    transformed, and returned, where the feed takes them.
    Raises ValueError when the samples do not fit the encoded readout, or are not finite.
    """
    coils, samples = readouts[0].shape
    first, stop, center_sample = forward(samples, center_sample, discard, reverse)
    if stop - first > encoded:
        raise ValueError(f"a readout has {stop - first} samples, more than the {encoded} encoded")
    if not first <= center_sample < stop:
        raise ValueError(f"a readout's centre, sample {center_sample}, is none of its samples")
    last = min(stop, center_sample + encoded - encoded // 2)
    first = max(first, center_sample - encoded // 2)
    lines = feed.buffer((len(readouts), coils, encoded))  # k = 0 first, as FFTs want it
    for line, readout in zip(lines, readouts, strict=True):
        ordered = readout[:, ::-1] if reverse else readout
        line[:, : last - center_sample] = ordered[:, center_sample:last]
        line[:, encoded - (center_sample - first) :] = ordered[:, first:center_sample]
    _check_finite(lines)
    there = feed.send(lines)
    images = fft_module(there).ifft(there, axis=-1, norm="ortho", overwrite_x=True)
    before = kept // 2
    ends = [images[..., encoded - before :], images[..., : kept - before]]
    return array_module(images).concatenate(ends, axis=-1)


def _check_finite(lines: NDArray[np.complex64]) -> None:
    """Raise ValueError where a transform would not be finite.

    On the host, before anything is sent: to look at what a device holds means to wait for it.
    """
    if np.isfinite(np.vdot(lines, lines)):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        bounds = np.abs(lines).sum(axis=-1)  # of what the transform can be
    if not np.isfinite(bounds).all():
        raise ValueError("a readout has samples that are not finite")


def forward(
    samples: int, center_sample: int, discard: tuple[int, int], reverse: bool
) -> tuple[int, int, int]:
    """First sample of the signal, the one behind its last, and k = 0, once read forwards."""
    first, stop = discard[0], samples - discard[1]
    if reverse:
        return samples - stop, samples - first, samples - 1 - center_sample
    return first, stop, center_sample
