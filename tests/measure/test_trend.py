from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from gadgetron_qsm.measure.change import Change
from gadgetron_qsm.measure.labels import Structure
from gadgetron_qsm.measure.trend import COLOURS, draw

LEFT, RIGHT = Structure(1, "putamen", "left"), Structure(2, "putamen", "right")
MIDDLE = Structure(3, "brain stem")


def change(structure, by, detectable=5.0):
    return Change(structure, 40.0, by, detectable, 2.0, 2.0, None, 0.0, 1.0)


def comparison(*intervals, days=(0, 7, 30)):
    times = [None if day is None else np.datetime64("2024-05-01") + day for day in days]
    visits = [SimpleNamespace(acquired=time and time.astype(object)) for time in times]
    return SimpleNamespace(
        visits=visits[: len(intervals) + 1],
        intervals=[SimpleNamespace(changes=changes) for changes in intervals],
    )


@pytest.fixture
def figure():
    first = [change(LEFT, 30.0), change(RIGHT, -1.0), change(MIDDLE, 2.0)]
    second = [change(LEFT, 2.0), change(RIGHT, -9.0), change(MIDDLE, 2.0, None)]
    return draw(comparison(first, second), "for tests")


def test_there_is_a_panel_for_a_structure_with_both_sides(figure):
    assert [ax.get_title() for ax in figure.axes] == ["putamen", "brain stem"]
    putamen = figure.axes[0]
    assert putamen.get_legend_handles_labels()[1] == ["left", "right"]
    assert "for tests" in figure.texts[0].get_text()


def test_the_course_is_that_of_chi_over_days(figure):
    line = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), [40, 70, 42])
    np.testing.assert_allclose(line.get_xdata(), [0, 7, 30], atol=0.5)


def test_what_changed_is_filled(figure):
    markers = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1]
    faces = [to_rgba(line.get_markerfacecolor()) for line in markers]
    left, right, white = (to_rgba(c) for c in (COLOURS["left"], COLOURS["right"], "white"))
    assert faces == [left, left, white, right, white, right]


def test_visits_without_days_are_counted_in_whole_numbers():
    changes = [change(LEFT, 30.0)]
    (ax,) = draw(comparison(changes, changes, days=(0, 0, None)), "for tests").axes
    assert ax.get_xlabel() == "visit"
    assert list(ax.get_xticks()) == [1, 2, 3]


def test_the_band_is_what_is_detectable_about_the_first_value(figure):
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (35, 45)
    assert not figure.axes[1].collections  # of the brain stem it is not known


@pytest.mark.parametrize("days", [(0, None, 30), (0, 0, 30)])
def test_visits_without_times_of_their_own_are_numbered(days):
    changes = [change(MIDDLE, 1.0)]
    ax = draw(comparison(changes, changes, days=days), "").axes[0]
    assert ax.get_xlabel() == "visit"
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [1, 2, 3])


def test_many_structures_share_rows():
    changes = [replace(change(MIDDLE, 1.0), structure=Structure(n, f"s{n}")) for n in range(1, 6)]
    axes = draw(comparison(changes), "").axes
    assert len(axes) == 5
    assert axes[0].get_position().y0 > axes[3].get_position().y0
