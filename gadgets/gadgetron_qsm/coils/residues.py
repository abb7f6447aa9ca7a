"""Phase residues: the ends of fringe lines, which no unwrapping can mend."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled


def phase_residues(image: Array, mask: Array) -> int:
    """Count the loops of 2 x 2 voxels, in all three plane orientations, that the phase winds round.

    image (z, y, x) complex; mask (z, y, x) bool, which all four voxels of a loop lie in.
    Noise makes a few, next to each other; a fringe line that ends makes a line of them.
    On the CPU one pass over memory, which takes a seventh of the time of `plain`.
    Goldstein et al. 1988, doi:10.1029/RS023i004p00713.
    """
    if array_module(image) is not np:
        return plain(image, mask)
    parts = np.ascontiguousarray(image, np.complex64).view(np.float32)
    return int(_counted(parts, np.ascontiguousarray(mask, bool)))


def plain(image: Array, mask: Array) -> int:
    """`phase_residues`, an array at a time."""
    turns = [_turns(image, axis) for axis in range(3)]
    return int(sum(_wound(turns, mask, *plane) for plane in combinations(range(3), 2)))


def _turns(image: Array, axis: int) -> Array:
    """Whole turns that the phase jumps by from each voxel to the next along an axis.

    It jumps where the short way from one to the other crosses the negative real axis.
    """
    this, following = image[_from(axis, 0)], image[_from(axis, 1)]
    side = (image.imag < 0).astype(np.int8)
    crossing = array_module(image).diff(side, axis=axis)
    short_way = this.real * following.imag - this.imag * following.real
    return crossing * (crossing * short_way > 0)


def _wound(turns: list[Array], mask: Array, first: int, second: int) -> Array:
    """Loops in the plane of two axes round which the jumps do not cancel."""
    xp = array_module(mask)
    inside = mask[_from(first, 1)] & mask[_from(first, 0)]
    inside = inside[_from(second, 1)] & inside[_from(second, 0)]
    winding = xp.diff(turns[second], axis=first) != xp.diff(turns[first], axis=second)
    return (winding & inside).sum()


def _from(axis: int, start: int) -> tuple[slice, ...]:
    """All voxels but the last (start 0) or the first (start 1) along an axis."""
    return (slice(None),) * axis + (slice(1, None) if start else slice(None, -1),)


@compiled
def _counted(image, mask):  # type: ignore[no-untyped-def]
    """Count in an image (z, y, x) whose real and imaginary parts take turns along x."""
    nz, ny, nx = mask.shape
    jumps_x, jumps_y = np.zeros((2, ny, nx - 1), np.int8), np.zeros((2, ny - 1, nx), np.int8)
    jumps_z = np.zeros((ny, nx), np.int8)
    count = 0
    for z in range(nz):
        now, before = z % 2, 1 - z % 2
        for y in range(ny):
            row, x_now, inside = image[z, y], jumps_x[now, y], mask[z, y]
            _jumped(row[:-2], row[2:], x_now)
            if y > 0:
                y_now, beside = jumps_y[now, y - 1], mask[z, y - 1]
                _jumped(image[z, y - 1], row, y_now)
                count += _wound_x(jumps_x[now, y - 1], x_now, y_now, beside, inside)
            if z > 0:
                z_now, behind = jumps_z[y], mask[z - 1, y]
                _jumped(image[z - 1, y], row, z_now)
                count += _wound_x(jumps_x[before, y], x_now, z_now, behind, inside)
            if y > 0 and z > 0:
                corners = (mask[z - 1, y - 1], behind, beside, inside)
                count += _loops(jumps_y[before, y - 1], y_now, jumps_z[y - 1], z_now, corners)
    return count


@compiled
def _jumped(this, following, jumps):  # type: ignore[no-untyped-def]
    """Jumps, as `_turns`, from a row of voxels to the next."""
    for x in range(jumps.size):
        real, imag = this[2 * x], this[2 * x + 1]
        following_real, following_imag = following[2 * x], following[2 * x + 1]
        crossing = np.int8(following_imag < 0) - np.int8(imag < 0)
        short_way = real * following_imag - imag * following_real
        jumps[x] = crossing * np.int8(crossing * short_way > 0)


@compiled
def _wound_x(near, far, across, inside, inside_far):  # type: ignore[no-untyped-def]
    """Residues between two rows along x, by the jumps in both and across."""
    corners = (inside[:-1], inside[1:], inside_far[:-1], inside_far[1:])
    return _loops(near, far, across[:-1], across[1:], corners)


@compiled
def _loops(near, far, first, last, corners):  # type: ignore[no-untyped-def]
    """Residues of a row of loops, by the jumps on their four sides and where their corners lie."""
    a, b, c, d = corners
    count = 0
    for i in range(near.size):
        count += (near[i] + last[i] != first[i] + far[i]) & a[i] & b[i] & c[i] & d[i]
    return count
