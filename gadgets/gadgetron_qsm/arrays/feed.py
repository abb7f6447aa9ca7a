"""Batches on their way from the host to where they are computed with."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array


class Feed(Protocol):
    """Takes host batches to where they are computed with."""

    def buffer(self, shape: Sequence[int]) -> NDArray[np.complex64]:
        """Return zeros in host memory, to be filled and sent."""

    def send(self, batch: NDArray[np.complex64]) -> Array:
        """Return what the last buffer holds, there; good until two more batches are sent."""


class HostFeed:
    """Batches stay where they are."""

    def buffer(self, shape: Sequence[int]) -> NDArray[np.complex64]:
        """Return zeros."""
        return np.zeros(shape, np.complex64)

    def send(self, batch: NDArray[np.complex64]) -> Array:
        """Return the batch."""
        return batch


class DeviceFeed:
    """Batches go to the device through pinned memory, on a stream of their own.

    There are two of everything: one batch is copied while the one before is computed with.
    """

    def __init__(self) -> None:
        import cupy

        self._upload = cupy.cuda.Stream(non_blocking=True)
        self._slots = [_Slot(), _Slot()]
        self._begun: Any = None  # when what came before the last batch had been computed with

    def buffer(self, shape: Sequence[int]) -> NDArray[np.complex64]:
        """Return zeros in pinned memory, once the copy that it held has arrived."""
        self._slots.reverse()
        return self._slots[0].zeros(shape)

    def send(self, batch: NDArray[np.complex64]) -> Array:
        """Begin the copy; what the current stream does from here on comes after it."""
        cupy = sys.modules["cupy"]
        compute, slot = cupy.cuda.get_current_stream(), self._slots[0]
        if self._begun is not None:
            self._upload.wait_event(self._begun)
        self._begun = compute.record()
        there = slot.device[: batch.size].reshape(batch.shape)
        there.set(batch, stream=self._upload)
        slot.copied = self._upload.record()
        compute.wait_event(slot.copied)
        return there


class _Slot:
    """Room for one batch on either side."""

    def __init__(self) -> None:
        self.host: Any = np.empty(0, np.complex64)
        self.device: Any = None
        self.copied: Any = None

    def zeros(self, shape: Sequence[int]) -> NDArray[np.complex64]:
        import cupy
        import cupyx

        size = math.prod(shape)
        if self.copied is not None:
            self.copied.synchronize()
        if size > self.host.size:
            # what the pool gives may be in use by kernels that wait on the current stream
            cupy.cuda.get_current_stream().synchronize()
            self.host = cupyx.empty_pinned(size, np.complex64)
            self.device = cupy.empty(size, np.complex64)
        batch: NDArray[np.complex64] = self.host[:size].reshape(shape)
        batch[...] = 0
        return batch
