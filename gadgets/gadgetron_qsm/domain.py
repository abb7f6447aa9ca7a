"""The part of the grid that an inversion works on: the mask's box, and zeros around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.grid import good_size, pad_centre, unpad_centre


@dataclass(frozen=True)
class Domain:
    """A mask (z, y, x) bool, the box of its voxels, and the shape that its transforms have."""

    mask: Array
    box: tuple[slice, ...]
    shape: tuple[int, ...]

    @classmethod
    def around(cls, mask: Array, voxel_size: Sequence[float], padding_mm: float) -> Domain:
        """Cut the grid down to the mask and lengthen every axis by `padding_mm`, to a good size.

        The zeros keep the periodic dipole from wrapping; voxel_size (z, y, x) in mm.
        Raises ValueError when the mask is empty.
        """
        box = _box(mask)
        shape = tuple(
            good_size(side.stop - side.start + int(np.ceil(padding_mm / size)))
            for side, size in zip(box, voxel_size, strict=True)
        )
        return cls(mask, box, shape)

    def embed(self, x: Array) -> Array:
        """Return x (z, y, x) on the work grid, float32, 0 outside the mask whatever it is there."""
        xp = array_module(x)
        # a zero of that type, as a mask and a plain 0 make whole numbers of 64 bits
        inside = xp.where(self.mask[self.box], x[self.box], np.float32(0))
        inside = inside.astype(xp.float32, copy=False)
        return pad_centre(inside, self.shape)

    def extract(self, x: Array) -> Array:
        """Return x of the work grid on the whole grid, float32, 0 outside the mask."""
        xp = array_module(x)
        inside = self.mask[self.box]
        whole = xp.zeros(self.mask.shape, xp.float32)
        whole[self.box] = xp.where(inside, unpad_centre(x, inside.shape), np.float32(0))
        return whole


def _box(mask: Array) -> tuple[slice, ...]:
    xp = array_module(mask)
    held = [mask.any(axis=tuple(b for b in range(3) if b != axis)) for axis in range(3)]
    ends = np.cumsum(mask.shape)[:-1]
    held = np.split(to_numpy(xp.concatenate(held)), ends)  # in one piece from a device
    if not held[0].any():
        raise ValueError("the mask is empty")
    places = [np.flatnonzero(line) for line in held]
    return tuple(slice(int(place[0]), int(place[-1]) + 1) for place in places)
