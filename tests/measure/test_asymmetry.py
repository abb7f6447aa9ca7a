from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.measure.asymmetry import Asymmetry, asymmetries
from tests.measure.rows import row


def both(left, right, **more):
    return Asymmetry("putamen", "chi", "ppb", left, right, **more)


def test_difference_and_index_are_of_left_over_right():
    more = both(60, 40)
    assert (more.difference, more.index_percent) == (20, 40)
    less = both(40, 60)
    assert (less.difference, less.index_percent) == (-20, -40)


def test_index_of_diamagnetic_sides_has_the_sign_of_the_difference():
    assert both(-40, -60).index_percent == 40


@pytest.mark.parametrize(("left", "right"), [(10, -2), (-10, 2), (0, 5), (0, 0)])
def test_sides_of_different_signs_have_no_index(left, right):
    found = both(left, right, left_error=1.0, right_error=1.0)
    assert (found.index_percent, found.index_error) == (None, None)
    assert found.difference == left - right


@pytest.mark.parametrize(("left", "right"), [(60.0, 40.0), (-35.0, -50.0)])
def test_errors_are_those_of_repeated_means(left, right):
    rng = np.random.default_rng(1)
    means = rng.normal((left, right), (1.5, 0.5), (20000, 2))
    repeated = [both(*pair) for pair in means.tolist()]
    found = both(left, right, left_error=1.5, right_error=0.5)
    spread = np.std([r.difference for r in repeated])
    assert found.difference_error == pytest.approx(spread, rel=0.02)
    spread = np.std([r.index_percent for r in repeated])
    assert found.index_error == pytest.approx(spread, rel=0.03)


def test_without_noise_of_both_sides_there_is_no_error():
    found = both(60, 40, left_error=1.0)
    assert (found.difference_error, found.index_error) == (None, None)


@pytest.mark.parametrize(("side", "ipsilateral", "excess"), [("left", 60, 20), ("right", 40, -20)])
def test_the_lesion_side_says_which_is_ipsilateral(side, ipsilateral, excess):
    found = both(60, 40, lesion_side=side)
    assert (found.ipsilateral, found.contralateral) == (ipsilateral, 100 - ipsilateral)
    assert found.ipsilateral_excess == excess
    assert both(60, 40).ipsilateral is None


def test_regions_of_both_sides_are_paired_map_by_map():
    rows = [
        row("whole brain", None, 0),
        row("thalamus", "right", 12, error=0.25),
        row("thalamus", "left", 10, error=0.5),
        row("red nucleus", "left", 90),
        row("thalamus", "left", 22, of="r2star"),
        row("thalamus", "right", 20, of="r2star"),
    ]
    chi, rate = asymmetries(rows, "right")
    assert (chi.region, chi.map, chi.unit, chi.difference) == ("thalamus", "chi", "ppb", -2)
    assert (chi.left_error, chi.right_error, chi.lesion_side) == (0.5, 0.25, "right")
    assert (rate.map, rate.unit, rate.difference) == ("r2star", "1/s", 2)
