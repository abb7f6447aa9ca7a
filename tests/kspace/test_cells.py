from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.cells import Cells, groups, neighbours
from gadgetron_qsm.kspace.lattice import Lattice

SHAPE = (14, 15)
EVERY = np.ones(SHAPE, bool)
LATTICES = [
    Lattice((2, 2)),
    Lattice((2, 2), (0, 1), (1, 1)),
    Lattice((2, 3), (1, 0)),
    Lattice((1, 3)),
]


def around(lattice, cell):
    """Lines of the lattice, in the matrix, less than two cells from the middle of a cell."""
    rows, columns = lattice.cell
    found = set()
    for kz, ky in np.argwhere(lattice.lines(SHAPE)).tolist():
        away = abs(2 * (kz - cell[0]) + 1 - rows), abs(2 * (ky - cell[1]) + 1 - columns)
        if away[0] < 4 * rows and away[1] < 4 * columns:
            found.add((kz, ky))
    return found


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_every_line_is_of_one_cell_and_what_lies_around_it_are_its_sources(lattice):
    cells = Cells(lattice, EVERY)
    seen = np.zeros(SHAPE, int)
    for number in range(len(cells.filled)):
        lines = cells.lines_of(np.array([number]))
        seen += lines
        first = np.argwhere(lines)[-1] - (lattice.cell[0] - 1, lattice.cell[1] - 1)
        if (np.argwhere(lines)[0] > 0).all() and lines.sum() == np.prod(lattice.cell):
            sources = cells.sources_of(np.array([number]))
            assert {tuple(line) for line in np.argwhere(sources).tolist()} == around(lattice, first)
    np.testing.assert_array_equal(seen, 1)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_a_cell_is_ready_when_the_last_of_its_sources_came(lattice):
    cells = Cells(lattice, EVERY)
    came = np.zeros(SHAPE, bool)
    for line in np.argwhere(cells.expected):
        before = set(cells.ready().tolist())
        came[tuple(line)] = True
        cells.update(came)
        for number in set(cells.ready().tolist()) - before:
            sources = cells.sources_of(np.array([number]))
            assert sources[tuple(line)] or not sources.any()
            assert came[sources].all()
    assert len(cells.ready()) == len(cells.filled)
    assert cells.passed().all()


def test_cells_of_a_line_that_changed_are_ready_no_more():
    cells = Cells(LATTICES[0], EVERY)
    cells.update(EVERY)
    cells.filled[:] = True
    changed = np.zeros(SHAPE, bool)
    changed[6, 6] = True
    spoilt = cells.spoil(changed)
    assert len(spoilt) == 16
    assert all(cells.sources_of(np.array([cell]))[6, 6] for cell in spoilt)
    assert not cells.filled[spoilt].any()
    assert not len(cells.ready())


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_groups_hold_every_line_once_in_the_order_of_their_cells(lattice):
    sampled = lattice.lines(SHAPE)
    sources, _ = neighbours(lattice, SHAPE)
    seen = np.zeros(SHAPE, int)
    for group in groups(lattice, sources, sampled, ~sampled):
        seen[tuple(group.filled)] += 1
        assert (np.diff(group.cells) >= 0).all()
        assert sampled.ravel()[group.near].all()
        assert group.near.shape[1] == group.there.sum()
    np.testing.assert_array_equal(seen, ~sampled)
