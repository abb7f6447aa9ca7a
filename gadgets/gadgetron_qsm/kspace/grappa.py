"""GRAPPA for any pattern of lines: a kernel for each neighbourhood that occurs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gadgetron_qsm.kspace.sampling import Lines, calibration_region

READOUT_REACH = 2  # samples to either side along kx
CHUNK = 128  # lines that are filled together

KSpace = NDArray[np.complex64]
Reach = tuple[int, int]


def grappa(
    kspace: KSpace,
    sampled: Lines,
    missing: Lines,
    acceleration: tuple[int, int],
    *,
    regularisation: float = 1e-4,
) -> None:
    """Fill the missing lines, in place.

    kspace (echo, coil, kz, ky, kx) complex64; sampled and missing (kz, ky) alike for all echoes;
    acceleration along (kz, ky). A missing sample is a weighted sum of the sampled ones within
    2 R - 1 lines (1 line along an axis that is not accelerated) and 2 samples, of all coils; the
    weights are those that predict the fully sampled centre best, one set for all echoes, with a
    Tikhonov term relative to the mean energy.
    Raises ValueError when the fully sampled centre is smaller than the neighbourhood.
    Griswold et al. 2002, doi:10.1002/mrm.10171; 2D: Blaimer et al. 2006, doi:10.1002/mrm.20924.
    """
    reach = (_reach(acceleration[0], sampled.shape[0]), _reach(acceleration[1], sampled.shape[1]))
    gram = _calibrate(kspace, sampled, reach)
    ridge = regularisation * float(np.trace(gram).real) / len(gram)
    coils = kspace.shape[1]
    centre = _columns(np.array([_offsets(reach) // 2]), coils)[READOUT_REACH * coils :][:coils]
    for pattern, lines in _patterns(sampled, missing, reach):
        sources = _columns(np.flatnonzero(pattern), coils)
        normal = gram[np.ix_(sources, sources)] + ridge * np.eye(len(sources), dtype=gram.dtype)
        weights = np.linalg.solve(normal, gram[np.ix_(sources, centre)]).astype(np.complex64)
        for start in range(0, len(lines), CHUNK):
            _fill(kspace, lines[start : start + CHUNK], pattern, weights, reach)


def _reach(acceleration: int, size: int) -> int:
    return min(2 * acceleration - 1, size - 1)


def _offsets(reach: Reach) -> int:
    return (2 * reach[0] + 1) * (2 * reach[1] + 1)


def _columns(offsets: NDArray[np.intp], coils: int) -> NDArray[np.intp]:
    """Columns of the calibration matrix, whose order is (offset, kx, coil)."""
    per_offset = (2 * READOUT_REACH + 1) * coils
    return (offsets[:, None] * per_offset + np.arange(per_offset)).ravel()


def _calibrate(kspace: KSpace, sampled: Lines, reach: Reach) -> NDArray[np.complex128]:
    """Return the Gram matrix of all neighbourhoods of the fully sampled centre."""
    region = calibration_region(sampled)
    window = (2 * reach[0] + 1, 2 * reach[1] + 1, 2 * READOUT_REACH + 1)
    centre = kspace[(slice(None), slice(None), *region)]
    if any(n < w for n, w in zip(centre.shape[2:], window, strict=True)):
        raise ValueError(
            f"the fully sampled centre of {centre.shape[2]} partitions x {centre.shape[3]} lines "
            f"is too small to calibrate GRAPPA; {window[0]} x {window[1]} are needed"
        )
    gram: NDArray[np.complex128] = np.zeros((1, 1), np.complex128)
    for echo in centre:
        views = sliding_window_view(echo, window, axis=(1, 2, 3))  # coil, z, y, x, dz, dy, dx
        for plane in range(views.shape[1]):
            rows = views[:, plane].transpose(1, 2, 3, 4, 5, 0)  # y, x, dz, dy, dx, coil
            rows = rows.reshape(rows.shape[0] * rows.shape[1], -1)
            gram = gram + rows.conj().T @ rows
    return gram


def _patterns(
    sampled: Lines, missing: Lines, reach: Reach
) -> Iterator[tuple[Lines, NDArray[np.intp]]]:
    """Give each neighbourhood (offset,) that occurs, and the missing lines (line, 2) that have it.

    Lines without any neighbour are left as they are: zero.
    """
    padded = np.pad(sampled, [(n, n) for n in reach])
    windows = sliding_window_view(padded, (2 * reach[0] + 1, 2 * reach[1] + 1))
    lines = np.argwhere(missing)
    around = windows[lines[:, 0], lines[:, 1]].reshape(len(lines), -1)
    patterns, which = np.unique(around, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        if pattern.any():
            yield pattern, lines[which.ravel() == index]


def _fill(
    kspace: KSpace,
    lines: NDArray[np.intp],
    pattern: Lines,
    weights: KSpace,
    reach: Reach,
) -> None:
    """Set lines (line, 2) of all echoes from their sampled neighbours."""
    kz, ky = lines.T
    dz, dy = np.divmod(np.flatnonzero(pattern), 2 * reach[1] + 1)
    width = 2 * READOUT_REACH + 1
    for echo in kspace:
        near = echo[:, kz[:, None] + dz - reach[0], ky[:, None] + dy - reach[1]]
        near = np.pad(near, [(0, 0)] * 3 + [(READOUT_REACH, READOUT_REACH)])
        views = sliding_window_view(near, width, axis=3)  # coil, line, offset, kx, dx
        rows = views.transpose(1, 3, 2, 4, 0).reshape(len(lines) * echo.shape[-1], -1)
        filled = (rows @ weights).reshape(len(lines), echo.shape[-1], -1)
        echo[:, kz, ky] = filled.transpose(2, 0, 1)
