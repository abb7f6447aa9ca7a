"""Parts of a file, read into one buffer, those near each other at once."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]  # of bytes

NEAR = 1 << 12  # bytes that are rather read than left out
ALIGNED = 8  # bytes


class Windows:
    """What was read of a file, in `buffer`; places are offsets in the file.

    It is read, not mapped: a mapped file that another process cuts off ends whoever looks at it.
    """

    def __init__(self, descriptor: int, starts: Offsets, stops: Offsets) -> None:
        """Read from each start to its stop; raise OSError when the file does not have all that."""
        there = os.fstat(descriptor).st_size
        if starts.min() < 0 or max(starts.max(), stops.max()) > there:  # a stop may have overflown
            raise OSError("the file is shorter than it says")
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(stops[order])
        apart = np.flatnonzero(starts[1:] > ends[:-1] + NEAR)
        self._begins = starts[np.append(0, apart + 1)]
        self._ends = ends[np.append(apart, len(ends) - 1)]
        sizes = self._ends - self._begins
        room = np.cumsum(-(-sizes // ALIGNED) * ALIGNED)
        self._at = np.append(0, room[:-1])
        self.buffer = np.empty(room[-1], np.uint8)
        whole = self.buffer.data
        for begin, size, at in zip(
            self._begins.tolist(), sizes.tolist(), self._at.tolist(), strict=True
        ):
            if os.preadv(descriptor, [whole[at : at + size]], begin) != size:
                raise OSError("the file has become shorter")

    def position(self, places: Offsets) -> Offsets:
        """Return where in the buffer places of the file are."""
        window = self._window(places)
        return self._at[window] + places - self._begins[window]

    def end(self, places: Offsets) -> Offsets:
        """Return where in the buffer ends what was read behind places of the file."""
        window = self._window(places)
        return self._at[window] + self._ends[window] - self._begins[window]

    def records(self, places: Offsets, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return a copy of the records at places of the file."""
        part, size = self.buffer.data, dtype.itemsize
        joined = bytearray().join([part[at : at + size] for at in self.position(places).tolist()])
        return np.frombuffer(joined, dtype)

    def _window(self, places: Offsets) -> NDArray[np.intp]:
        return np.searchsorted(self._begins, places, "right") - 1
