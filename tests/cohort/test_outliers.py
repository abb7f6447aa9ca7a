"""Which scans of a cohort are unlike the others, and on which side that is bad."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gadgetron_qsm.cohort.figures import Row
from gadgetron_qsm.cohort.outliers import FEWEST, modified_z, outliers
from tests.cohort.rows import rows


def of(name, values):
    """A scan for each value of one figure; None has no figure."""
    return [
        Row(f"s{n}", Path(f"s{n}"), "done", figures={} if value is None else {name: value})
        for n, value in enumerate(values)
    ]


def marked(name, values):
    return [n for n, found in enumerate(outliers(of(name, values))) if name in found]


def test_z_is_that_of_the_median_absolute_deviation():
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 9]  # median 5, absolute deviations 0 1 1 2 2 3 3 4 4
    assert modified_z(values) == pytest.approx([0.6745 * (v - 5) / 2 for v in values])


def test_of_a_normal_cohort_z_is_its_own():
    values = np.random.default_rng(0).normal(10, 2, 4001)
    np.testing.assert_allclose(modified_z(values.tolist()), (values - 10) / 2, atol=0.15)


def test_one_scan_in_a_cohort_of_normal_ones_is_marked():
    found = outliers(rows(Path(), 40))
    assert {n: set(marks) for n, marks in enumerate(found) if marks} == {
        3: {"ghosting"},
        5: {"mask_volume"},
    }
    assert found[3]["ghosting"] > 3.5
    assert found[5]["mask_volume"] < -3.5


@pytest.mark.parametrize(("z", "expected"), [(3.4, []), (3.6, [9])])
def test_further_than_three_and_a_half_is_marked(z, expected):
    values = [100 + 10 * n for n in (-4.0, -3, -2, -1, 0, 1, 2, 3, 4)]  # of ten, the median is 105
    deviation = np.median(np.abs(np.array([*values, 1e6]) - 105)) / 0.6745
    assert marked("ghosting", [*values, 105 + z * deviation]) == expected


SPREAD = [10.0, 11, 12, 13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize("name", ["ghosting", "streaking", "phase_residual", "phase_residues"])
def test_less_of_what_is_bad_is_not_marked(name):
    assert marked(name, [*SPREAD, 90.0, -90.0]) == [9]


@pytest.mark.parametrize("name", ["mask_volume", "reference_sd"])
def test_of_others_both_sides_are(name):
    assert marked(name, [*SPREAD, 90.0, -90.0]) == [9, 10]


def test_nothing_is_marked_of_a_few_scans():
    few = [1.0] * (FEWEST - 2)
    assert marked("ghosting", [*few, 50.0]) == []
    assert marked("ghosting", [*few, 1.0, 50.0]) == [FEWEST - 1]


def test_scans_without_a_figure_are_none_of_those_that_it_is_compared_in():
    values = [*SPREAD, None, 90.0, None]
    assert marked("ghosting", values) == [10]
    assert marked("ghosting", [None] * 20 + [1.0, 1, 1, 50]) == []


def test_where_most_are_the_same_the_mean_deviation_counts():
    values = [0.0] * 18 + [1.0, 40.0]
    assert modified_z(values)[-1] == pytest.approx(0.7979 * 40 / (41 / 20))
    assert marked("phase_residues", values) == [19]


def test_a_difference_that_means_nothing_is_not_marked_however_alike_the_others_are():
    assert marked("ghosting", [4.0] * 20 + [4.1]) == []
    assert marked("ghosting", [4.0] * 20 + [6.0]) == [20]


def test_the_same_everywhere_is_no_outlier():
    assert marked("ghosting", [4.0] * 20) == []
    assert modified_z([2.0] * 10) == [0.0] * 10


def test_no_scans_have_none():
    assert outliers([]) == []


def test_a_failed_scan_has_none():
    scans = rows(Path(), 20)
    scans[3] = replace(scans[3], state="failed", figures={})
    assert outliers(scans)[3] == {}
