"""Cells of a lattice of lines, sorted by the lattice lines around them that are there."""

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
