"""Lines to one array, as they arrive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre

Indices = NDArray[np.intp]
Place = tuple[Indices, Indices, Indices]
KZ, KY = 2, 3  # axes of the data


class Assembly:
    """Hybrid space of one volume, filled by batches of lines, in any order.

    data (echo, coil, kz, ky, x) complex64, k = 0 at n//2 of ky and kz; lines that come more than
    once are averaged; `count` (echo, kz, ky) says how often each line came.

    shape is that of the data. `axes` are the axes of it that are encoded in k-space: (KY,) where
    the other one counts slices. `awaited` (kz, ky) says how often each line will come: partitions
    (or lines of all partitions, whichever is complete first) are then transformed along their
    axis while the others are still to come. None waits for the end with all of it. The data are
    where an array `like` is, and so must the lines be; places and counts are on the host.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int, int],
        *,
        axes: tuple[int, ...] = (KZ, KY),
        awaited: NDArray[np.integer] | None = None,
        like: Array | None = None,
    ) -> None:
        self.data = array_module(like).zeros(shape, np.complex64)
        self.count = np.zeros((shape[0], *shape[KZ : KY + 1]), np.uint16)
        self._axes = axes
        self._awaited = awaited
        self._axis: int | None = None  # along which complete parts are transformed
        self._done: set[tuple[int, int]] = set()  # these (echo, index along the other axis)

    def add(self, lines: Array, place: Place) -> None:
        """Place lines (line, coil, x) at their (echo, kz, ky), each (line,).

        Raises ValueError when one lies outside the matrix.
        """
        self._check(place)
        self._put_back(self._parts(self._axis, place))
        turns = list(_turns(np.ravel_multi_index(place, self.count.shape)))
        for some in turns:
            if len(turns) == 1:
                self._average(lines, place)
            else:
                echo, kz, ky = (index[some] for index in place)
                self._average(lines[array_module(lines).asarray(some)], (echo, kz, ky))
        if self._awaited is not None:
            self._transform_complete(place, self._awaited)

    def transform(self, axis: int, parts: Indices) -> bool:
        """Transform partitions (or lines of all of them) of all echoes along their axis, KY or KZ.

        Those that are transformed already are left. Returns whether this is, or now became, the
        axis along which parts are transformed before the end.
        """
        if self._axis is None and len(parts):
            self._axis = axis
        if self._axis == axis:
            for part in itertools.product(range(len(self.data)), parts.tolist()):
                if part not in self._done:
                    self._transform(part, centred_ifft)
                    self._done.add(part)
        return self._axis == axis

    def put_back(self, lines: NDArray[np.bool_]) -> None:
        """Transform back to k-space what was transformed of some lines (kz, ky), in all echoes."""
        if self._axis is not None:
            parts = np.flatnonzero(lines.any(axis=1 if self._axis == KY else 0)).tolist()
            self._put_back(set(itertools.product(range(len(self.data)), parts)))

    def hybrid(self) -> Array:
        """Return the data (echo, coil, kz, ky, x), all of it in k-space along kz and ky."""
        self._put_back(self._done)
        return self.data

    def images(self, matrix: tuple[int, int]) -> Array:
        """Transform what is left and return images (echo, coil, z, y, x), in place.

        Voxels beyond the middle `matrix` (z, y) are oversampling and left out.
        """
        images = self.data[:, :, : matrix[0], : matrix[1]]
        for echo in range(len(self.data)):
            self._transform_rest(echo)
            for coil, volume in enumerate(self.data[echo]):
                axes = [axis - 2 for axis in self._axes if axis != self._axis]
                if axes:
                    centred_ifft(volume, axes=axes, overwrite=True)
                if images.shape != self.data.shape:
                    middle = crop_centre(crop_centre(volume, matrix[0], 0), matrix[1], 1)
                    images[echo, coil] = middle  # numpy and cupy copy what overlaps
        return images

    def _average(self, lines: Array, place: Place) -> None:
        """Add lines, no two of them at one place, to the means of what came before."""
        xp = array_module(self.data)
        self.count[place] += 1
        count = self.count[place]
        by_line = self.data.transpose(0, 2, 3, 1, 4)
        at = tuple(xp.asarray(np.stack(place)))
        if (count == 1).all():
            by_line[at] = lines
            return
        mean = by_line[at]
        by_line[at] = mean + (lines - mean) / xp.asarray(count.astype(np.float32))[:, None, None]

    def _put_back(self, parts: set[tuple[int, int]]) -> None:
        """Transform parts back to k-space, where they were transformed."""
        for part in self._done & parts:
            self._transform(part, centred_fft)
            self._done.remove(part)

    def _parts(self, axis: int | None, place: Place) -> set[tuple[int, int]]:
        if axis is None:
            return set()
        echo, kz, ky = place
        return set(zip(echo.tolist(), (kz if axis == KY else ky).tolist(), strict=True))

    def _transform_complete(self, place: Place, awaited: NDArray[np.integer]) -> None:
        for axis in self._axes if self._axis is None else (self._axis,):
            for part in self._parts(axis, place):
                if self._is_complete(axis, part, awaited):
                    self._axis = axis
                    self._transform(part, centred_ifft)
                    self._done.add(part)
            if self._axis is not None:
                return

    def _is_complete(self, axis: int, part: tuple[int, int], awaited: NDArray[np.integer]) -> bool:
        echo, index = part
        along = (index, slice(None)) if axis == KY else (slice(None), index)
        expected = awaited[along]
        return expected.size > 1 and bool((self.count[(echo, *along)] >= expected).all())

    def _transform(self, part: tuple[int, int], transform: Callable[..., Array]) -> None:
        echo, index = part
        where = (
            (echo, slice(None), index)
            if self._axis == KY
            else (echo, slice(None), slice(None), index)
        )
        transform(self.data[where], axes=[1], overwrite=True)

    def _transform_rest(self, echo: int) -> None:
        """Transform what of an echo was not complete along the axis that complete parts were."""
        if self._axis is None:
            return
        others = KZ + KY - self._axis
        for index in range(self.data.shape[others]):
            if (echo, index) not in self._done:
                self._transform((echo, index), centred_ifft)

    def _check(self, place: Place) -> None:
        names = ("echo", "partition", "line")
        for name, index, size in zip(names, place, self.count.shape, strict=True):
            if index.min(initial=0) < 0 or index.max(initial=0) >= size:
                worst = index.min() if index.min() < 0 else index.max()
                raise ValueError(f"a readout of {name} {worst} lies outside the {size} encoded")


def _turns(where: Indices) -> Iterator[Indices]:
    """Sort the numbers of lines at `where` (line,) into sets without two at one place.

    The first set has the first line of each place, the next one the second of those that repeat.
    """
    order = np.argsort(where, kind="stable")
    begins = np.flatnonzero(np.diff(where[order], prepend=-1))
    turn = np.arange(len(where)) - np.repeat(begins, np.diff(begins, append=len(where)))
    for number in range(turn.max(initial=-1) + 1):
        yield order[turn == number]
