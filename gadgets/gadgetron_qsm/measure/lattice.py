"""Voxels of one file as a scan stores them, when both are the same voxels of the patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry

COSINE_TOLERANCE = 1e-3  # across 200 voxels a fifth of one
OFFSET_TOLERANCE = 0.1  # of a voxel


def laid_on(
    values: NDArray[np.integer],
    geometry: Geometry,
    scan: Geometry,
    name: str,
    *,
    part: bool = False,
) -> NDArray[np.integer]:
    """Return labels (z, y, x) in the order of the scan's voxels.

    Axes may be swapped and run the other way, as converters of files leave them. With `part` the
    labels may be those of a box of the scan; outside of it is 0. `name` tells whose labels they
    are. Raises QsmError, which says what differs, when they are not on the scan's voxels.
    """
    axes, signs = _axes(geometry, scan, name)
    turned = values.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    sizes = tuple(geometry.voxel_size[axis] for axis in axes)
    if not np.allclose(sizes, scan.voxel_size, rtol=1e-3):
        raise _differs(name, "voxels", sizes, scan.voxel_size, " mm")
    if turned.shape != scan.matrix and not part:
        raise _differs(name, "matrix", turned.shape, scan.matrix)
    first = _first(values.shape, axes, signs, geometry, scan)
    whole = np.rint(first)
    fits = all(0 <= f <= n - m for f, n, m in zip(whole, scan.matrix, turned.shape, strict=True))
    if np.abs(first - whole).max() > OFFSET_TOLERANCE or not fits:
        away = float(np.linalg.norm(first * scan.voxel_size))
        raise QsmError(
            f"{name} lies elsewhere than the scan: their first voxels are {away:.1f} mm apart; "
            "make it on the grid of the scan's own images"
        )
    laid = np.zeros(scan.matrix, values.dtype)
    box = tuple(slice(int(f), int(f) + n) for f, n in zip(whole, turned.shape, strict=True))
    laid[box] = turned
    return laid


def _axes(
    geometry: Geometry, scan: Geometry, name: str
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return which axis (of z, y, x) lies along each of the scan's, and whether it runs back."""
    own, wanted = (
        np.array([g.slice_dir, g.phase_dir, g.read_dir], dtype=np.float64) for g in (geometry, scan)
    )
    cosines = wanted @ own.T
    x, y, z = np.abs(cosines).argmax(axis=1).tolist()
    if np.abs(np.abs(cosines) - np.abs(cosines).round()).max() > COSINE_TOLERANCE:
        turned = np.rad2deg(np.arccos(min(np.abs(cosines).max(axis=1).min(), 1.0)))
        raise QsmError(
            f"{name} is turned by {turned:.1f} degrees against the scan; "
            "make it on the grid of the scan's own images"
        )
    i, j, k = (1 if cosines[row, axis] > 0 else -1 for row, axis in enumerate((x, y, z)))
    return (x, y, z), (i, j, k)


def _first(
    shape: tuple[int, ...],
    axes: tuple[int, int, int],
    signs: tuple[int, int, int],
    geometry: Geometry,
    scan: Geometry,
) -> NDArray[np.float64]:
    """Return the scan's index (z, y, x), with fractions, of the first voxel in its own order."""
    index = np.zeros(3)
    for axis, sign in zip(axes, signs, strict=True):
        index[axis] = 0 if sign > 0 else shape[axis] - 1
    point = geometry.affine @ [*index[::-1], 1]
    first: NDArray[np.float64] = (np.linalg.inv(scan.affine) @ point)[:3][::-1]
    return first


def _differs(name: str, what: str, given: object, wanted: object, unit: str = "") -> QsmError:
    def told(numbers: object) -> str:
        return " x ".join(f"{number:g}" for number in numbers)  # type: ignore[attr-defined]

    return QsmError(
        f"{name} is on another grid: its {what} {told(given)}{unit} (z, y, x), the scan's "
        f"{told(wanted)}{unit}; make it on the grid of the scan's own images"
    )
