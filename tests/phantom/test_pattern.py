from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from gadgetron_qsm.phantom.pattern import (
    central_block,
    encoded_lines,
    first_lines,
    lattice,
    sampling_pattern,
    window,
)
from gadgetron_qsm.phantom.protocol import Sampling

SHAPES = [(24, 36), (25, 35)]
FACTORS = [(z, y) for z in (1, 2, 3) for y in (1, 2, 3, 4)]


def pattern(shape=(40, 48), **sampling):
    return sampling_pattern(Sampling(**sampling), shape, np.random.default_rng(0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factors", FACTORS)
def test_a_lattice_has_one_line_in_every_cell_and_holds_the_centre(shape, factors):
    for axis, rows in zip("zy", factors, strict=True):
        for shift in range(rows):
            lines = lattice(
                Sampling(acceleration=factors, caipi_shift=shift, caipi_axis=axis), shape
            )
            assert lines[shape[0] // 2, shape[1] // 2]
            assert (sliding_window_view(lines, factors).sum(axis=(2, 3)) == 1).all()


def test_rows_of_a_shifted_lattice_lie_so_far_beside_one_another():
    lines = lattice(Sampling(acceleration=(2, 3), caipi_shift=1), (12, 18))
    assert not lines[1::2].any()
    for row in range(0, 10, 2):
        np.testing.assert_array_equal(lines[row + 2], np.roll(lines[row], 1))


def test_a_lattice_shifted_along_z_is_one_shifted_along_y_with_the_axes_swapped():
    along_z = Sampling(acceleration=(3, 2), caipi_shift=2, caipi_axis="z")
    along_y = Sampling(acceleration=(2, 3), caipi_shift=2)
    np.testing.assert_array_equal(lattice(along_z, (12, 18)), lattice(along_y, (18, 12)).T)


def test_a_lattice_can_lie_beside_the_centre():
    lines = lattice(Sampling(acceleration=(2, 3), lattice_offset=(1, 2)), (12, 18))
    np.testing.assert_array_equal(np.argwhere(lines)[0], (1, 2))
    assert lines[6 + 1, 9 + 2]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_calibration_block_lies_around_the_centre(shape):
    block = np.argwhere(central_block((8, 6), shape))
    assert len(block) == 48
    np.testing.assert_array_equal(block[0], (shape[0] // 2 - 4, shape[1] // 2 - 3))
    assert central_block((100, 6), shape).sum() == shape[0] * 6
    odd = np.argwhere(central_block((5, 1), shape))
    np.testing.assert_array_equal(odd[[0, -1], 0] - shape[0] // 2, (-2, 2))


def test_embedded_calibration_is_sampled_and_a_separate_one_is_not():
    embedded = pattern(acceleration=(2, 2), calibration="embedded")
    separate = pattern(acceleration=(2, 2), calibration="separate")
    assert embedded.lines[embedded.calibration].all()
    assert embedded.lines.sum() == 20 * 24 + 24 * 24 * 3 // 4
    np.testing.assert_array_equal(separate.lines, separate.lattice)
    np.testing.assert_array_equal(separate.calibration, embedded.calibration)


@pytest.mark.parametrize(("fraction", "first"), [(1.0, 0), (7 / 8, 5), (6 / 8, 10), (5 / 8, 15)])
def test_partial_fourier_leaves_out_the_beginning(fraction, first):
    sampling = Sampling(partial_fourier=(1.0, fraction))
    assert first_lines(sampling, (24, 40)) == (0, first)
    inside = window(sampling, (24, 40))
    assert not inside[:, :first].any()
    assert inside[:, first:].all()


def test_partial_fourier_never_leaves_out_the_centre():
    assert first_lines(Sampling(partial_fourier=(0.501, 0.501)), (5, 9)) == (2, 4)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_ellipse_touches_the_sides_and_leaves_out_the_corners(shape):
    inside = window(Sampling(elliptical=True), shape)
    assert inside.mean() == pytest.approx(np.pi / 4, abs=0.03)
    assert inside[shape[0] // 2].all()
    assert inside[:, shape[1] // 2].all()
    assert not inside[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_the_ellipse_and_partial_fourier_both_cut():
    both = window(Sampling(elliptical=True, partial_fourier=(1.0, 0.75)), (24, 40))
    expected = window(Sampling(elliptical=True), (24, 40))
    expected[:, :10] = False
    np.testing.assert_array_equal(both, expected)


def test_lost_lines_are_random_and_never_of_the_calibration():
    got = pattern(shape=(80, 80), lost=0.2)
    missing = ~got.lines
    assert not missing[got.calibration].any()
    assert missing[~got.calibration].mean() == pytest.approx(0.2, abs=0.02)


def test_oversampling_encodes_more_lines():
    assert encoded_lines(Sampling(oversampling=(1.25, 1.2)), (16, 20, 30)) == (20, 24)
