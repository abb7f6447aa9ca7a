"""The regular lattice of lines of an accelerated scan, found in the lines that came."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.kspace.sampling import Lines, calibration_region

MARGIN = 1.0  # lines by which scanners round the semi-axes of an ellipse up or down
CORNERS = 0.05  # of a lattice, at least, that an ellipse leaves out: 0.21 of a large full one
CONTRAST = 2.0  # an irregular pattern meets its best lattice hardly more often than the others

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Lattice:
    """Every `cell`-th line along (kz, ky), shifted from row to row or from column to column.

    shift: (0, s) moves each next row of the lattice s lines along ky, (s, 0) each next column s
    along kz (CAIPIRINHA: Breuer et al. 2006, doi:10.1002/mrm.20787). origin: a line of it.
    """

    cell: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    origin: tuple[int, int] = (0, 0)

    def within_cell(self, kz: Places, ky: Places) -> tuple[Places, Places]:
        """Place of lines in the cell, as large as `cell`, that begins at a line of the lattice."""
        z, y = kz - self.origin[0], ky - self.origin[1]
        rows, columns = self.cell
        row = (z - self.shift[0] * (y // columns)) % rows
        column = (y - self.shift[1] * (z // rows)) % columns
        return row, column

    def lines(self, shape: tuple[int, int]) -> Lines:
        """Return the lines (kz, ky) of it in a matrix."""
        kz, ky = np.indices(shape)
        in_cell = self.within_cell(kz, ky)
        return (in_cell[0] == 0) & (in_cell[1] == 0)


@dataclass(frozen=True)
class Coverage:
    """What a scan covers, lines (kz, ky): wanted in the end, and missing from its lattice.

    `wanted` is the announced rectangle, or the ellipse in it when the corners were left out.
    """

    lattice: Lattice
    wanted: Lines
    missing: Lines
    elliptical: bool

    @property
    def whole(self) -> bool:
        """Whether the scan came to its end."""
        return not self.missing.any()


def find_coverage(
    sampled: Lines, announced: Lines, acceleration: tuple[int, int]
) -> Coverage | None:
    """Find the lattice and the outline of a scan, and what is missing of it.

    sampled: lines (kz, ky) that came; announced: those that the header tells; acceleration along
    (kz, ky). Where lines of the lattice are missing in all corners and the ellipse between is
    whole to a line, or nothing lies outside of it, the scan is elliptical. None: the lines lie on
    no lattice of as many cells, such as a random pattern.
    """
    lattice = find_lattice(sampled, announced, acceleration)
    if lattice is None:
        return None
    expected = lattice.lines(sampled.shape) & announced
    missing = expected & ~sampled
    outlines = []
    if missing.sum() > CORNERS * expected.sum():
        outlines = list(_ellipses(expected & sampled, expected, announced))
    if not outlines:
        return Coverage(lattice, announced, missing, elliptical=False)
    wanted, inside = min(outlines, key=lambda outline: int((missing & outline[1]).sum()))
    return Coverage(lattice, wanted, missing & inside, elliptical=True)


def find_lattice(sampled: Lines, announced: Lines, acceleration: tuple[int, int]) -> Lattice | None:
    """Find the lattice of which the largest part came; None when the lines lie on none.

    The header tells the factors alone: of all lattices with one line in as many, the one without
    shift comes first, then those with the squarest cells.
    """
    kz, ky = np.nonzero(announced)
    came = sampled[kz, ky]
    best, most = Lattice((1, 1)), 0.0
    for lattice in _lattices(acceleration):
        share = _shares(lattice, kz, ky, came)
        if share.max() > most:
            most = float(share.max())
            z, y = np.unravel_index(int(share.argmax()), lattice.cell)
            best = Lattice(lattice.cell, lattice.shift, (int(z), int(y)))
    if math.prod(acceleration) > 1 and not _is_regular(best, sampled, announced):
        return None
    return best


def _lattices(acceleration: tuple[int, int]) -> Iterator[Lattice]:
    """Give every lattice with one line in as many as the acceleration tells."""
    lines = math.prod(acceleration)
    cells = [(rows, lines // rows) for rows in range(1, lines + 1) if lines % rows == 0]
    cells.sort(key=lambda cell: (max(cell), cell != acceleration))
    yield Lattice(acceleration)
    for rows, columns in cells:
        yield from (Lattice((rows, columns), (0, s)) for s in range(columns))
        yield from (Lattice((rows, columns), (s, 0)) for s in range(1, rows))


def _shares(lattice: Lattice, kz: Places, ky: Places, came: Lines) -> NDArray[np.float64]:
    """Share of the lines that came, for each origin of the lattice."""
    origin = np.ravel_multi_index(lattice.within_cell(kz, ky), lattice.cell)
    cells = math.prod(lattice.cell)
    total = np.bincount(origin, minlength=cells)
    return np.bincount(origin[came], minlength=cells) / np.maximum(total, 1)


def _is_regular(lattice: Lattice, sampled: Lines, announced: Lines) -> bool:
    """Tell whether its lines came more often than others, outside the calibration block."""
    outside = announced.copy()
    if sampled[sampled.shape[0] // 2, sampled.shape[1] // 2]:
        outside[calibration_region(sampled)] = False
    on = lattice.lines(sampled.shape)
    shares = [sampled[outside & part].mean() for part in (on, ~on) if (outside & part).any()]
    return len(shares) < 2 or bool(shares[0] >= CONTRAST * shares[1])


def _ellipses(came: Lines, expected: Lines, announced: Lines) -> Iterator[tuple[Lines, Lines]]:
    """Give the outline and the safely inner part of ellipses in whose corners nothing came.

    Scanners draw them about k = 0 with semi-axes of half the matrix, or of the longer side of
    what partial Fourier leaves of it.
    """
    offsets = [np.arange(n) - n // 2 for n in came.shape]
    rows, columns = (np.flatnonzero(announced.any(axis=axis)) for axis in (1, 0))
    longer = [
        max(-k[used[0]], k[used[-1]] + 0.5)
        for k, used in zip(offsets, (rows, columns), strict=True)
    ]
    for axes in (longer, [n / 2 for n in came.shape]):
        outer, nominal, inner = (
            np.hypot(*np.ix_(*(k / max(a + m, 0.5) for k, a in zip(offsets, axes, strict=True))))
            for m in (MARGIN, 0.0, -MARGIN)
        )
        corners = expected & (outer > 1)
        if corners.any() and not (came & corners).any():
            yield announced & (nominal <= nominal[came].max(initial=0)), inner < 1
