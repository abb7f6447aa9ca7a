"""Cells of a lattice of lines, by the lattice lines around them that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.kspace.lattice import Lattice, Places
from gadgetron_qsm.kspace.sampling import Lines


@dataclass(frozen=True)
class Group:
    """Cells with the same sources: those (source,) bool that came.

    outermost: some of the sources at the corners of the cell did not. near: numbers (cell, source)
    of the sources among all lines. Line `filled[:, i]` (kz, ky) is target `targets[i]` of cell
    `cells[i]`, which does not fall with i.
    """

    there: Lines
    outermost: bool
    near: Places
    filled: Places
    cells: Places
    targets: Places


def neighbours(lattice: Lattice, shape: tuple[int, int]) -> tuple[Places, Places]:
    """Lines (n, 2) around a cell that weights are for, and lines of the cell, from its first."""
    rows, columns = lattice.cell
    offsets = np.indices((5 * rows, 5 * columns)).reshape(2, -1).T - (2 * rows - 1, 2 * columns - 1)
    from_middle = np.abs(2 * offsets + 1 - lattice.cell)
    near = (from_middle < (4 * rows, 4 * columns)).all(axis=1)
    inside = (np.abs(offsets) < shape).all(axis=1)
    kz, ky = (offsets + lattice.origin).T
    on = np.equal(lattice.within_cell(kz, ky), 0).all(axis=0)
    targets = np.indices(lattice.cell).reshape(2, -1).T
    return offsets[near & inside & on], targets


def cells_of(lattice: Lattice, lines: Places) -> tuple[Places, Places, Places]:
    """Return the cells (n, 2) of lines (line, 2), by their first line; each line's cell and target.

    The latter two, (line,), are numbers: of the cell among those returned, of the line in it.
    """
    in_cell = np.transpose(lattice.within_cell(*lines.T))
    target = np.ravel_multi_index(tuple(in_cell.T), lattice.cell)
    cells, cell = np.unique(lines - in_cell, axis=0, return_inverse=True)
    return cells, cell.ravel(), target  # numpy 2.0 returned it otherwise


def sources_of(cells: Places, sources: Places, sampled: Lines) -> tuple[Places, Lines]:
    """Numbers (cell, source) of the sources among all lines, and which of them were sampled."""
    shape = np.array(sampled.shape)
    near = cells[:, None] + sources
    there = ((near >= 0) & (near < shape)).all(axis=-1)
    near = np.clip(near, 0, shape - 1)
    there &= sampled[near[..., 0], near[..., 1]]
    return np.ravel_multi_index((near[..., 0], near[..., 1]), sampled.shape), there


def groups(lattice: Lattice, sources: Places, sampled: Lines, missing: Lines) -> Iterator[Group]:
    """Sort the missing lines by the sources that their cells have; cells without are left out."""
    lines = np.argwhere(missing)
    cells, cell, target = cells_of(lattice, lines)
    near, there = sources_of(cells, sources, sampled)
    from_middle = np.abs(2 * sources + 1 - lattice.cell)
    corners = (from_middle < 2 * np.array(lattice.cell)).all(axis=1)
    patterns, pattern = np.unique(there, axis=0, return_inverse=True)
    pattern = pattern.ravel()
    by_cell = np.argsort(cell, kind="stable")
    for index, kept in enumerate(patterns):
        if kept.any():
            members = np.flatnonzero(pattern == index)
            own = by_cell[pattern[cell[by_cell]] == index]
            rows = np.searchsorted(members, cell[own])
            outermost = not kept[corners].all()
            yield Group(kept, outermost, near[members][:, kept], lines[own].T, rows, target[own])


class Cells:
    """All cells of the announced lines (kz, ky): which have their sources, and which are filled.

    expected: lines of the lattice that will come, the sources; `filled` (cell,) is for the caller.
    """

    def __init__(self, lattice: Lattice, announced: Lines) -> None:
        self.lattice = lattice
        self.expected: Lines = lattice.lines(announced.shape) & announced
        sources, _ = neighbours(lattice, announced.shape)
        lines = np.argwhere(announced)
        cells, self._cell, _ = cells_of(lattice, lines)
        self._line = np.ravel_multi_index(tuple(lines.T), announced.shape)
        self._near, self._there = sources_of(cells, sources, self.expected)
        self.filled = np.zeros(len(cells), bool)
        self._complete, self._spoilt = self.filled.copy(), self.filled.copy()

    def update(self, came: Lines) -> None:
        """Look which cells have all of their sources."""
        self._complete[:] = ~(self._there & ~came.flat[self._near]).any(axis=1)

    def ready(self) -> Places:
        """Return the cells that may be filled."""
        return np.flatnonzero(self._complete & ~self.filled & ~self._spoilt)

    def passed(self) -> Lines:
        """Return the lines of cells with all of their sources: what of them did not come is late.

        Lines of no cell are none that could come.
        """
        late = np.ones(self.expected.shape, bool)
        late.flat[self._line] = self._complete[self._cell]
        return late

    def lines_of(self, cells: Places) -> Lines:
        """Return all lines of cells."""
        chosen = np.zeros(len(self.filled), bool)
        chosen[cells] = True
        lines = np.zeros(self.expected.shape, bool)
        lines.flat[self._line] = chosen[self._cell]
        return lines

    def sources_of(self, cells: Places) -> Lines:
        """Return the sources of cells."""
        lines = np.zeros(self.expected.shape, bool)
        lines.flat[self._near[cells][self._there[cells]]] = True
        return lines

    def sources_of_rest(self) -> Lines:
        """Return the sources of cells that are not filled."""
        return self.sources_of(np.flatnonzero(~self.filled))

    def spoil(self, again: Lines) -> Places:
        """Take back the cells that were filled from lines that changed since; return them.

        They are not ready any more.
        """
        hit = (self._there & again.flat[self._near]).any(axis=1) & self.filled
        self._spoilt |= hit
        self.filled &= ~hit
        return np.flatnonzero(hit)
