"""Lines of a calibration scan apart from the image, to a fully sampled centre of k-space."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.assemble import Assembly, Place


class Calibration:
    """Lines (coil, x) of a calibration scan, by slice; places (echo, kz, ky) relative to k = 0."""

    def __init__(self) -> None:
        self._lines: dict[int, list[tuple[Array, Place]]] = {}

    def add(self, lines: Array, place: Place, slices: np.ndarray) -> None:
        """Take lines (line, coil, x) at their (echo, kz, ky), each (line,), of slices (line,)."""
        for number in np.unique(slices).tolist():
            here = slices == number
            echo, kz, ky = (index[here] for index in place)
            self._lines.setdefault(number, []).append((lines[here], (echo, kz, ky)))

    def block(self, slice_number: int = 0) -> Array | None:
        """Return what came as (echo, coil, kz, ky, x), k = 0 at n//2; None when nothing did.

        Raises QsmError when lines of it are missing.
        """
        parts = self._lines.get(slice_number)
        if not parts:
            return None
        lines = np.concatenate([lines for lines, _ in parts])
        echo, kz, ky = (np.concatenate([place[axis] for _, place in parts]) for axis in range(3))
        nz, ny = (min(1 - 2 * int(k.min()), 2 * int(k.max()) + 2) for k in (kz, ky))
        if min(nz, ny) < 1:
            raise QsmError("the calibration lines lie on one side of the centre of k-space")
        kz, ky = kz + nz // 2, ky + ny // 2
        inside = (kz >= 0) & (kz < nz) & (ky >= 0) & (ky < ny)
        assembly = Assembly((int(echo.max()) + 1, lines.shape[1], nz, ny, lines.shape[2]))
        assembly.add(lines[inside], (echo[inside], kz[inside], ky[inside]))
        whole = assembly.count.all(axis=(1, 2))
        if not whole.any():
            raise QsmError(
                f"{int((assembly.count[0] == 0).sum())} of {nz} x {ny} calibration "
                "lines are missing: the scan was cut short"
            )
        return assembly.hybrid()[whole]
