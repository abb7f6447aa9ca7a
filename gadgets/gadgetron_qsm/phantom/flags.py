"""The flags of readouts. Those of ISMRMRD count from 1."""

from __future__ import annotations

from collections.abc import Sequence

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.protocol import EXTRA_KINDS
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.shots import Shots

Flags = NDArray[np.uint64]


def bit(*flags: int) -> np.uint64:
    """Word in which the given flags are set."""
    return np.uint64(sum(1 << flag - 1 for flag in flags))


def extra_flags(kinds: Sequence[str], count: int) -> Flags:
    """Words (readout,) of lines of other kinds, which come in turn."""
    words = np.array([bit(*EXTRA_KINDS[kind]) for kind in kinds], np.uint64)
    return words[np.arange(count) % max(len(kinds), 1)]


def shot_flags(scan: Scan, shots: Shots, echo: int) -> Flags:
    """Words (shot,) of one echo of all shots."""
    words = np.zeros(len(shots), np.uint64)
    if scan.readout.is_backward(echo) and scan.readout.reverse_flag:
        words |= bit(ismrmrd.ACQ_IS_REVERSE)
    both = shots["calibration"] & shots["lattice"]
    words[both] |= bit(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    words[shots["calibration"] & ~both] |= bit(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    image = np.flatnonzero(~shots["before"])
    words[image] |= _ends(scan, shots[image], echo)
    return words


def _ends(scan: Scan, shots: Shots, echo: int) -> Flags:
    """Flags of the first and the last in a repetition, average, slice and partition."""
    words = np.zeros(len(shots), np.uint64)
    repetition = shots["repetition"]
    average = repetition * scan.sampling.averages + shots["average"]
    partition = average * (int(shots["plane"].max()) + 1) + shots["plane"]
    _mark(words, partition, ismrmrd.ACQ_FIRST_IN_ENCODE_STEP1, ismrmrd.ACQ_LAST_IN_ENCODE_STEP1)
    groups = [(repetition, ismrmrd.ACQ_FIRST_IN_REPETITION, ismrmrd.ACQ_LAST_IN_REPETITION)]
    slices = repetition
    if scan.slices:
        slices = repetition * (int(shots["plane"].max()) + 1) + shots["plane"]
    groups.append((slices, ismrmrd.ACQ_FIRST_IN_SLICE, ismrmrd.ACQ_LAST_IN_SLICE))
    if scan.sampling.averages > 1:
        groups.append((average, ismrmrd.ACQ_FIRST_IN_AVERAGE, ismrmrd.ACQ_LAST_IN_AVERAGE))
    last_echo = echo == len(scan.echo_times_s) - 1
    for group, first, last in groups:
        _mark(words, group, first if echo == 0 else None, last if last_echo else None)
    if last_echo and scan.extras.last_flag:
        words[-1] |= bit(ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    return words


def _mark(words: Flags, group: NDArray[np.int32], first: int | None, last: int | None) -> None:
    """Flag the first and the last shot of each group."""
    if first:
        words[np.unique(group, return_index=True)[1]] |= bit(first)
    if last:
        words[len(words) - 1 - np.unique(group[::-1], return_index=True)[1]] |= bit(last)
