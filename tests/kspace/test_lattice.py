from __future__ import annotations

import itertools

import numpy as np
import pytest

from gadgetron_qsm.kspace.lattice import Lattice, find_coverage, find_lattice

SHAPE = (31, 44)  # kz, ky
EVERY = np.ones(SHAPE, bool)
LATTICES = [
    Lattice(cell, shift)
    for cell in itertools.product((1, 2, 3, 4), (1, 2, 3))
    for shift in [(0, s) for s in range(cell[1])] + [(s, 0) for s in range(1, cell[0])]
]


def distance(shape, axes=None):
    """Of each line from k = 0, in semi-axes of an ellipse."""
    axes = axes or [n / 2 for n in shape]
    kz, ky = ((np.arange(n) - n // 2) / a for n, a in zip(shape, axes, strict=True))
    return np.hypot(kz[:, None], ky)


def with_centre(lines, size=12):
    lines = lines.copy()
    lines[tuple(slice(n // 2 - size // 2, n // 2 + size // 2) for n in lines.shape)] = True
    return lines


def of_half(shape):
    """All lines but a quarter at low ky, as partial Fourier announces them."""
    announced = np.ones(shape, bool)
    announced[:, : shape[1] // 4] = False
    return announced


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("announced", [EVERY, of_half(SHAPE)], ids=["full", "partial"])
def test_every_lattice_is_found_whole_with_its_phase_unknown(lattice, announced):
    origin = tuple(cell - 1 for cell in lattice.cell)
    lattice = Lattice(lattice.cell, lattice.shift, origin)
    sampled = with_centre(lattice.lines(SHAPE)) & announced
    coverage = find_coverage(sampled, announced, lattice.cell)
    np.testing.assert_array_equal(coverage.lattice.lines(SHAPE), lattice.lines(SHAPE))
    assert coverage.whole
    assert not coverage.elliptical
    np.testing.assert_array_equal(coverage.wanted, announced)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("announced", [EVERY, of_half(SHAPE)], ids=["full", "partial"])
@pytest.mark.parametrize("rounding", [-0.6, 0, 0.6])
def test_empty_corners_are_no_missing_lines(lattice, announced, rounding):
    ellipse = distance(SHAPE, [n / 2 + rounding for n in SHAPE]) <= 1
    sampled = with_centre(lattice.lines(SHAPE)) & announced & ellipse
    coverage = find_coverage(sampled, announced, lattice.cell)
    assert coverage.elliptical
    assert coverage.whole
    assert not (sampled & ~coverage.wanted).any()
    assert not (coverage.wanted & (distance(SHAPE, [n / 2 + 1.6 for n in SHAPE]) > 1)).any()
    inner = distance(SHAPE, [n / 2 - 3.6 for n in SHAPE]) <= 1
    assert coverage.wanted[inner & announced].all()


def test_a_lattice_that_the_factors_describe_in_other_words_is_found():
    kz, ky = np.indices(SHAPE)
    sampled = (kz + 2 * (ky % 2)) % 4 == 0  # 4 x 1 with a shift of 2 for every line
    lattice = find_lattice(sampled, EVERY, (4, 1))
    np.testing.assert_array_equal(lattice.lines(SHAPE), sampled)
    assert lattice.cell == (2, 2)  # the squarest: its neighbours are the nearest


@pytest.mark.parametrize("acceleration", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("centre", [0, 12])
@pytest.mark.parametrize("elliptical", [False, True], ids=["rectangle", "ellipse"])
def test_a_scan_that_was_cut_short_misses_the_lines_that_did_not_come(
    acceleration, centre, elliptical
):
    inside = distance(SHAPE) <= 1 if elliptical else EVERY
    expected = Lattice(acceleration).lines(SHAPE) & inside
    sampled = with_centre(expected, centre) if centre else expected.copy()
    sampled[24:] = False
    coverage = find_coverage(sampled, EVERY, acceleration)
    assert not coverage.whole
    lost = expected & ~sampled
    assert not (coverage.missing & sampled).any()
    assert coverage.missing.sum() == pytest.approx(lost.sum(), rel=0.5 if elliptical else 0)
    assert np.argwhere(coverage.missing)[0][0] in (24, 25, 26)


@pytest.mark.parametrize("elliptical", [False, True], ids=["rectangle", "ellipse"])
@pytest.mark.parametrize("acceleration", [(1, 1), (2, 2)])
def test_single_lines_that_were_lost_are_missed(acceleration, elliptical):
    inside = distance(SHAPE) <= 1 if elliptical else EVERY
    sampled = Lattice(acceleration).lines(SHAPE) & inside
    lost = [(6, 14), (20, 30)]
    for line in lost:
        sampled[line] = False
    coverage = find_coverage(sampled, EVERY, acceleration)
    assert [tuple(line) for line in np.argwhere(coverage.missing)] == lost


@pytest.mark.parametrize("shape", [(4, 6), (6, 6), (8, 8), (1, 40), (2, 16), (4, 4), (3, 64)])
@pytest.mark.parametrize("corner", [0, -1])
def test_a_corner_line_that_was_lost_makes_no_ellipse(shape, corner):
    sampled = np.ones(shape, bool)
    sampled[corner, corner] = False
    coverage = find_coverage(sampled, np.ones(shape, bool), (1, 1))
    assert not coverage.elliptical
    assert coverage.missing.sum() == 1


@pytest.mark.parametrize("shape", [(16, 16), (31, 44), (88, 112)])
def test_a_last_partition_that_was_lost_makes_no_ellipse(shape):
    sampled = np.ones(shape, bool)
    sampled[-1] = False
    coverage = find_coverage(sampled, np.ones(shape, bool), (1, 1))
    assert not coverage.elliptical
    assert coverage.missing.sum() == shape[1]


def test_an_ellipse_of_a_matrix_that_is_announced_in_part_is_found():
    shape = (40, 60)
    announced = np.zeros(shape, bool)
    announced[4:37, 6:55] = True  # zeros all around, as a lower phase resolution leaves
    sampled = announced & (distance(shape, (16, 24)) <= 1)
    coverage = find_coverage(sampled, announced, (1, 1))
    assert coverage.elliptical
    assert coverage.whole


def test_lines_of_a_full_scan_lie_on_every_lattice():
    coverage = find_coverage(EVERY, EVERY, (2, 2))
    assert coverage.whole
    np.testing.assert_array_equal(coverage.wanted, EVERY)


@pytest.mark.parametrize("acceleration", [(1, 2), (2, 2), (3, 2)])
def test_a_random_pattern_is_no_lattice(acceleration):
    share = 1 / np.prod(acceleration)
    sampled = with_centre(np.random.default_rng(0).random(SHAPE) < share)
    assert find_coverage(sampled, EVERY, acceleration) is None


def test_one_partition_alone_is_a_lattice_too():
    sampled = Lattice((1, 3), origin=(0, 2)).lines((1, 50))
    coverage = find_coverage(sampled, np.ones((1, 50), bool), (1, 3))
    assert coverage.whole
    assert coverage.lattice.origin == (0, 2)
