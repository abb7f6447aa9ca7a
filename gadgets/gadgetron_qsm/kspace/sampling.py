"""Which lines of a Cartesian scan came, and which should have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, to_numpy

CENTRE = 48  # lines along kz and ky that are used of larger calibration regions

Lines = NDArray[Any]  # bool
Window = tuple[slice, slice]  # of lines along kz and ky


def encoded_rectangle(shape: tuple[int, int], limits: tuple[tuple[int, int, int], ...]) -> Lines:
    """Lines (kz, ky) that the header announces.

    `shape` is the encoded matrix (kz, ky), `limits` the (minimum, maximum, centre) of the counters
    along kz and ky; the centre lies at n//2.
    """
    announced = np.zeros(shape, bool)
    window = []
    for n, (minimum, maximum, centre) in zip(shape, limits, strict=True):
        start = minimum - centre + n // 2
        window.append(slice(max(start, 0), start + maximum - minimum + 1))
    announced[tuple(window)] = True
    return announced


def describe_missing(missing: Lines, total: int) -> str:
    """Say how many lines (echo, kz, ky) are missing, and where the first one is."""
    echo, kz, ky = (int(i) for i in np.argwhere(missing)[0])
    return (
        f"{int(missing.sum())} of {total} lines are missing, the first in echo {echo + 1}, "
        f"partition {kz}, line {ky}: the scan was cut short"
    )


def calibration_region(sampled: Lines) -> Window:
    """Largest fully sampled rectangle of lines (kz, ky) that holds the centre, n//2.

    Raises ValueError when the centre itself was not sampled.
    """
    nz, ny = sampled.shape
    z, y = nz // 2, ny // 2
    if not sampled[z, y]:
        raise ValueError("the centre of k-space was not sampled")
    best, largest = (slice(z, z + 1), slice(y, y + 1)), 1
    for first in range(z, -1, -1):
        full: Lines = np.all(sampled[first : z + 1], axis=0)
        if not full[y]:
            break
        for last in range(z, nz):
            full = np.logical_and(full, sampled[last])
            if not full[y]:
                break
            gaps = np.flatnonzero(~full)
            left = int(gaps[gaps < y].max(initial=-1)) + 1
            right = int(gaps[gaps > y].min(initial=ny))
            area = (last + 1 - first) * (right - left)
            if area > largest:
                best, largest = (slice(first, last + 1), slice(left, right)), area
    return best


def central(calibration: Array) -> Array:
    """Keep at most CENTRE lines along kz and ky of calibration lines (..., kz, ky, x).

    They lie around the brightest line: k = 0, which is anywhere in a region that partial Fourier
    or lost lines cut.
    """
    *_, nz, ny, _ = calibration.shape
    if max(nz, ny) <= CENTRE:
        return calibration
    window = central_window((slice(0, nz), slice(0, ny)), brightest_line(calibration))
    return calibration[(..., *window, slice(None))]


def brightest_line(calibration: Array) -> tuple[int, int]:
    """Return the line (kz, ky) with the most energy of calibration lines (..., kz, ky, x)."""
    *_, nz, ny, _ = calibration.shape
    energy = array_module(calibration).zeros((nz, ny))
    for coil in calibration[(0,) * (calibration.ndim - 4)]:
        energy += (coil.real**2 + coil.imag**2).sum(axis=-1, dtype="float64")
    z, y = np.unravel_index(int(to_numpy(energy).argmax()), energy.shape)
    return int(z), int(y)


def central_window(region: Window, brightest: tuple[int, int]) -> Window:
    """Lines of a region along kz and ky that are used: at most CENTRE, around the brightest."""
    window = []
    for lines, line in zip(region, brightest, strict=True):
        first = min(max(line - CENTRE // 2, lines.start), max(lines.stop - CENTRE, lines.start))
        window.append(slice(first, min(first + CENTRE, lines.stop)))
    return window[0], window[1]


def is_settled(region: Window, window: Window, left_out: Lines) -> bool:
    """Tell whether lines to come can no longer move the window of a calibration region.

    left_out: lines (kz, ky) that will not come. On each side the window ends before the region
    does, or the region at such a line or the edge of the matrix.
    """
    for axis, n in enumerate(left_out.shape):
        of_axis, across = (left_out, region[1]) if axis == 0 else (left_out.T, region[0])
        first, stop = region[axis].start, region[axis].stop
        if window[axis].start == first and first > 0 and not of_axis[first - 1, across].any():
            return False
        if window[axis].stop == stop and stop < n and not of_axis[stop, across].any():
            return False
    return True
