from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.sampling import (
    CENTRE,
    calibration_region,
    central,
    central_window,
    describe_missing,
    encoded_rectangle,
    is_settled,
)


def test_the_announced_lines_lie_around_their_centre():
    announced = encoded_rectangle((4, 7), ((0, 3, 2), (0, 4, 1)))
    assert announced[:, 2:7].all()  # line 1 is k = 0, which is at 7 // 2
    assert not announced[:, :2].any()


def test_the_first_missing_line_is_named():
    missing = np.zeros((2, 3, 4), bool)
    missing[1, 2, 1:3] = True
    text = describe_missing(missing, 24)
    assert text.startswith("2 of 24 lines are missing, the first in echo 2, partition 2, line 1")


def test_the_calibration_region_is_the_largest_full_rectangle_at_the_centre():
    sampled = np.zeros((11, 13), bool)
    sampled[:, ::2] = True
    sampled[3:8, 2:10] = True
    assert calibration_region(sampled) == (slice(3, 8), slice(2, 11))
    assert sampled[calibration_region(sampled)].all()


def test_a_fully_sampled_scan_is_all_calibration():
    assert calibration_region(np.ones((4, 5), bool)) == (slice(0, 4), slice(0, 5))


def test_no_calibration_without_the_centre():
    sampled = np.ones((6, 8), bool)
    sampled[3, 4] = False
    with pytest.raises(ValueError, match="centre of k-space was not sampled"):
        calibration_region(sampled)


@pytest.mark.parametrize(
    ("brightest", "first"),
    [((60, 55), (36, 31)), ((3, 99), (0, 52)), ((98, 24), (74, 0))],
    ids=["inside", "at the edges", "at others"],
)
def test_the_lines_around_the_brightest_are_kept(brightest, first):
    lines = np.random.default_rng(0).standard_normal((2, 3, 122, 100, 4)).astype(np.complex64)
    lines[(..., *brightest, slice(None))] *= 100
    z, y = (slice(start, start + CENTRE) for start in first)
    np.testing.assert_array_equal(central(lines), lines[:, :, z, y])
    np.testing.assert_array_equal(central(lines[0]), lines[0, :, z, y])


def test_an_axis_of_few_lines_is_kept_whole():
    lines = np.ones((2, 3, 99, 4), np.complex64)
    assert central(lines).shape == (2, 3, CENTRE, 4)
    assert central(lines[:, :, :CENTRE]).shape == (2, 3, CENTRE, 4)


@pytest.mark.parametrize(
    ("lines", "line", "used"),
    [
        (slice(3, 20), 8, slice(3, 20)),
        (slice(0, 100), 50, slice(26, 74)),
        (slice(10, 100), 20, slice(10, 58)),
        (slice(10, 100), 90, slice(52, 100)),
    ],
)
def test_the_window_is_of_the_region_about_its_brightest_line(lines, line, used):
    assert central_window((lines, slice(0, 5)), (line, 2)) == (used, slice(0, 5))
    assert central_window((slice(0, 5), lines), (2, line)) == (slice(0, 5), used)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("stop", "left_out", "settled"),
    [
        (9, [], False),
        (9, [(9, 5)], True),
        (9, [(9, 1)], False),
        (9, [(10, 5)], False),
        (12, [], True),
    ],
)
def test_a_region_ends_for_good_at_a_line_left_out_or_the_edge(turned, stop, left_out, settled):
    region, lines = (slice(0, stop), slice(3, 8)), np.zeros((12, 11), bool)
    lines[4, [2, 8]] = True
    for place in left_out:
        lines[place] = True
    region, lines = (region[::-1], lines.T) if turned else (region, lines)
    assert is_settled(region, region, lines) == settled


def test_a_window_that_ends_before_its_region_does_not_wait_for_more():
    nothing = np.zeros((100, 10), bool)
    region = slice(5, 80), slice(0, 10)
    assert is_settled(region, (slice(20, 68), slice(0, 10)), nothing)
    assert not is_settled(region, (slice(32, 80), slice(0, 10)), nothing)
