"""Coil images that do not fit on the device: they stay on the host and go there in parts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array

Images = NDArray[np.complex64]


class Tiles:
    """Coil images (echo, coil, z, y, x) in host memory that are read as an array on a device.

    `move` takes an array to the device, as cupy.asarray does. What is indexed, and no more, is
    moved then: read one echo, or one coil of it (`tiles[echo, coil]`), at a time. An echo that was
    moved whole, and that its reader still holds, is not moved a second time.
    The methods of combination hold one echo, and read others coil by coil. So at their peak there
    are on the device twice the coil images of one echo: these and the sensitivities; beside
    `roemer`'s result and some six volumes.
    """

    def __init__(self, images: Images, move: Callable[[Images], Array]) -> None:
        self.shape, self.dtype, self.ndim = images.shape, images.dtype, images.ndim
        self.on_host, self._move = images, move
        self._held: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        return len(self.on_host)

    def __iter__(self) -> Iterator[Array]:
        return (self[echo] for echo in range(len(self)))

    def __getitem__(self, index: Any) -> Array:
        """Return what an index of numpy's picks out, on the device."""
        echo, *rest = index if isinstance(index, tuple) else (index,)
        if not isinstance(echo, int | np.integer):
            return self._move(self.on_host[index])
        echo = range(len(self))[echo]
        whole = self._held.get(echo)
        if whole is not None:
            return whole[tuple(rest)] if rest else whole
        moved = self._move(self.on_host[index])
        if not rest:
            self._held[echo] = moved
        return moved
