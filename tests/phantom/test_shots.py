from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.phantom import Extras, Sampling, Scan, Slices
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.shots import plan_course, plan_shots

GRID = Grid((6, 8, 10), (1, 1, 1), (1.0, 1.0, 1.0))


def shots_of(slices=None, **sampling):
    return plan_shots(Scan(sampling=Sampling(**sampling), slices=slices), GRID)


def lines_of(shots):
    return list(zip(shots["plane"].tolist(), shots["line"].tolist(), strict=True))


def test_lines_come_partition_by_partition():
    assert lines_of(shots_of()) == list(np.ndindex(6, 8))


def test_partitions_come_line_by_line_when_they_are_the_inner_loop():
    expected = [(z, y) for y, z in np.ndindex(8, 6)]
    assert lines_of(shots_of(order="partition-inner")) == expected


def test_the_centre_comes_first_and_the_corners_last():
    lines = np.array(lines_of(shots_of(order="centre-out")))
    distance = np.hypot((lines[:, 0] - 3) / 6, (lines[:, 1] - 4) / 8)
    assert tuple(lines[0]) == (3, 4)
    assert (np.diff(distance) >= 0).all()


def test_a_random_order_has_every_line_once():
    lines = lines_of(shots_of(order="random"))
    assert sorted(lines) == list(np.ndindex(6, 8))
    assert lines != sorted(lines)


def test_repetitions_are_the_outer_and_averages_the_next_loop():
    shots = shots_of(averages=2, repetitions=3)
    order = shots["repetition"] * 2 + shots["average"]
    np.testing.assert_array_equal(order, np.repeat(np.arange(6), 48))
    assert lines_of(shots[:48]) == lines_of(shots[-48:])


def test_slices_take_turns_in_their_order_of_acquisition():
    shots = shots_of(slices=Slices())
    np.testing.assert_array_equal(shots["plane"][:12], [1, 3, 5, 0, 2, 4] * 2)
    np.testing.assert_array_equal(shots["line"], np.repeat(np.arange(8), 6))


def test_separate_calibration_comes_once_before_everything_else():
    shots = shots_of(calibration="separate", calibration_size=(2, 4), repetitions=2)
    assert shots["before"].tolist() == [True] * 8 + [False] * 96
    np.testing.assert_array_equal(shots["calibration"], shots["before"])
    assert set(lines_of(shots[:8])) == {(z, y) for z in (2, 3) for y in (2, 3, 4, 5)}


def test_embedded_calibration_tells_its_lines_from_those_of_the_lattice():
    shots = shots_of(acceleration=(1, 2), calibration="embedded", calibration_size=(2, 4))
    block = {line for line, yes in zip(lines_of(shots), shots["calibration"], strict=True) if yes}
    assert block == {(z, y) for z in (2, 3) for y in (2, 3, 4, 5)}
    np.testing.assert_array_equal(shots["lattice"], shots["line"] % 2 == 0)


def test_duplicates_follow_the_line_that_they_repeat():
    shots = shots_of(duplicates=5)
    assert len(shots) == 48 + 5
    same = [a == b for a, b in zip(lines_of(shots), lines_of(shots)[1:], strict=False)]
    assert sum(same) == 5


@pytest.mark.parametrize("kinds", [(), ("dummy", "navigator")])
def test_every_row_of_the_file_is_one_readout(kinds):
    scan = Scan(noise_lines=4, extras=Extras(kinds=kinds, every=10), echo_times_s=(0.01, 0.02))
    course = plan_course(scan, GRID)
    rows = np.concatenate(
        [np.arange(4), course.rows, course.rows + 1, course.extra_rows]
    )  # of two echoes
    assert sorted(rows) == list(range(course.readouts))
    assert len(course.extra_rows) == (5 if kinds else 0)
    np.testing.assert_array_equal(course.rows[course.extra_shots] - 1, course.extra_rows)
