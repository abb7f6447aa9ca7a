"""Readouts to one array, as they arrive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.kspace.fourier import centred_ifft, crop_centre

Indices = NDArray[np.intp]


class Assembly:
    """Hybrid space of one volume, filled by batches of readouts.

    data (echo, coil, kz, ky, x) complex64: each readout is whitened, transformed to x, freed of
    its oversampling and added at its place; k = 0 is sample n//2 of ky and kz. Lines that come
    more than once are averaged. `count` (echo, kz, ky) says how often each line came.

    matrix (kz, ky, kx) is the encoded one, `readout` the samples along x that are kept,
    `whitening` (coil, coil) or None.
    """

    def __init__(
        self,
        echoes: int,
        coils: int,
        matrix: tuple[int, int, int],
        readout: int,
        *,
        whitening: Array | None = None,
    ) -> None:
        nz, ny, self._samples = matrix
        self._readout = readout
        self._whitening = whitening
        self.data = np.zeros((echoes, coils, nz, ny, readout), np.complex64)
        self.count = np.zeros((echoes, nz, ny), np.uint16)

    @property
    def whitened(self) -> bool:
        """Whether the coils' noise is made white."""
        return self._whitening is not None

    def add(
        self,
        readouts: Array,
        place: tuple[Indices, Indices, Indices],
        *,
        center_sample: int,
        reverse: bool,
    ) -> None:
        """Place readouts (line, coil, sample) at `place`, their (echo, kz, ky), each (line,).

        k = 0 is at `center_sample` as received; `reverse` marks lines that were read backwards.
        Raises ValueError when lines or samples lie outside the matrix, or are not finite.
        """
        self._check(readouts, place)
        samples = readouts.shape[-1]
        if reverse:
            readouts, center_sample = readouts[..., ::-1], samples - 1 - center_sample
        if self._whitening is not None:
            readouts = self._whitening @ readouts
        lines = np.zeros((*readouts.shape[:2], self._samples), np.complex64)
        start = self._samples // 2 - center_sample
        first, last = max(start, 0), min(start + samples, self._samples)
        lines[..., first:last] = readouts[..., first - start : last - start]
        images = crop_centre(centred_ifft(lines, axes=[2]), self._readout, axis=2)
        echo, kz, ky = place
        np.add.at(self.count, place, 1)
        if self.count[place].max() == 1:
            self.data[echo, :, kz, ky] = images
        else:
            for image, e, z, y in zip(images, echo, kz, ky, strict=True):
                self.data[e, :, z, y] += image

    def finish(self) -> Array:
        """Return the data, lines that came more than once averaged."""
        if self.count.max(initial=0) > 1:
            self.data /= np.maximum(self.count, 1)[:, None, :, :, None]
        return self.data

    def _check(self, readouts: Array, place: tuple[Indices, Indices, Indices]) -> None:
        names = ("echo", "partition", "line")
        for name, index, size in zip(names, place, self.count.shape, strict=True):
            if index.min() < 0 or index.max() >= size:
                worst = index.min() if index.min() < 0 else index.max()
                raise ValueError(f"a readout of {name} {worst} lies outside the {size} encoded")
        if readouts.shape[-1] > self._samples:
            raise ValueError(
                f"a readout has {readouts.shape[-1]} samples, more than the {self._samples} encoded"
            )
        if not np.isfinite(readouts).all():
            raise ValueError("a readout has samples that are not finite")
