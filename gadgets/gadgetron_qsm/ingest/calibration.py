"""Lines of a calibration scan apart from the image, to a fully sampled centre of k-space."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, to_numpy
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.assemble import Place

REACH = 32  # lines from k = 0 that are kept: more than any calibration needs
ADVICE = "send the calibration scan whole, before the image"

_Spot = tuple[int, int, int]


class Calibration:
    """Lines (coil, x) of a calibration scan about k = 0, by slice; the mean of those that repeat.

    Their places (echo, kz, ky) are relative to k = 0. They are few and stay on the host, where to
    sort them costs least.
    """

    def __init__(self) -> None:
        self.lines = 0  # that came
        self._slices: dict[int, dict[_Spot, tuple[Array, int]]] = {}

    def add(self, lines: Array, place: Place, slices: np.ndarray) -> None:
        """Take lines (line, coil, x) at their (echo, kz, ky), each (line,), of slices (line,)."""
        self.lines += len(lines)
        for line, number, *spot in zip(to_numpy(lines), slices.tolist(), *place, strict=True):
            echo, kz, ky = (int(index) for index in spot)
            if max(abs(kz), abs(ky)) <= REACH:
                means = self._slices.setdefault(number, {})
                mean, count = means.get((echo, kz, ky), (np.zeros_like(line), 0))
                means[echo, kz, ky] = mean + (line - mean) / np.float32(count + 1), count + 1

    def block(self, slice_number: int = 0) -> np.ndarray | None:
        """Return what came as (echo, coil, kz, ky, x), k = 0 at n//2; None when nothing did.

        Of echoes that lack lines the others are returned. Raises QsmError when all do.
        """
        means = self._slices.get(slice_number)
        if not means:
            return None
        echoes, kz, ky = (np.unique(index) for index in zip(*means, strict=True))
        nz, ny = (min(1 - 2 * int(k.min()), 2 * int(k.max()) + 2) for k in (kz, ky))
        if min(nz, ny) < 1:
            raise QsmError(f"the calibration lines lie on one side of k = 0; {ADVICE}")
        wanted = [(z - nz // 2, y - ny // 2) for z, y in np.ndindex(nz, ny)]
        missing = {echo: sum((echo, *at) not in means for at in wanted) for echo in echoes.tolist()}
        whole = [echo for echo, count in missing.items() if not count]
        if not whole:
            least = min(missing.values())
            raise QsmError(f"{least} of {nz} x {ny} calibration lines are missing; {ADVICE}")
        lines = np.array([[means[(echo, *at)][0] for at in wanted] for echo in whole])
        return lines.reshape(len(whole), nz, ny, *lines.shape[2:]).transpose(0, 3, 1, 2, 4)
