"""A structure against its surroundings, side by side."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.contrast import contrasts
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from tests.analytic import ball, distance

SHAPE, SIZE = (24, 50, 60), (1.5, 1.0, 0.8)
GEOMETRY = Geometry(SHAPE, SIZE, (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
LEFT, RIGHT = (0.0, 0.0, 12.0), (0.0, 0.0, -12.0)  # mm (z, y, x)
STN_L, STN_R = (
    Structure(n, "subthalamic nucleus", side) for n, side in ((1, "left"), (2, "right"))
)
NIGRA = Structure(3, "substantia nigra", "left")
RADIUS, SD = 3.5, 4.0
NAME = STN_L.name


def brain(noise=None, mask=None, sd=SD):
    """Two nuclei, 80 and 50 ppb over their surroundings; what is next to the left one, 300."""
    left, right = ball(SHAPE, SIZE, RADIUS, LEFT), ball(SHAPE, SIZE, RADIUS, RIGHT)
    nigra = ball(SHAPE, SIZE, 3.0, (0.0, 6.6, 12.0))
    chi = 10 + 80.0 * left + 50.0 * right + 290.0 * nigra
    chi += np.random.default_rng(5).normal(0, sd, SHAPE)
    mask = np.ones(SHAPE, bool) if mask is None else mask
    values = (left + 2 * right + 3 * nigra).astype(np.uint8)
    scan = Scan(chi.astype(np.float32), np.ones(SHAPE, np.float32), mask, GEOMETRY, noise)
    return scan, LabelMap(values, (STN_L, STN_R, NIGRA))


def test_the_contrast_of_each_side_is_over_its_own_surroundings_without_other_structures():
    left, right = contrasts(*brain(), NAME)
    assert (left.structure, right.structure) == (STN_L, STN_R)
    assert left.contrast_ppb == pytest.approx(80, abs=1)
    assert right.contrast_ppb == pytest.approx(50, abs=1)
    assert left.cnr_around == pytest.approx(80 / SD, rel=0.15)
    assert left.cnr_noise is None
    assert left.standard_error is None


def test_the_shell_lies_between_gap_and_thickness():
    _, right = contrasts(*brain(), NAME, gap_mm=2.0, thickness_mm=3.0)
    away = distance(SHAPE, SIZE, RIGHT) - RADIUS
    expected = ((away > 2.0) & (away <= 5.0)).sum()
    assert right.around.voxels == pytest.approx(expected, rel=0.1)


def test_the_border_that_is_left_out_does_not_count():
    scan, labels = brain()
    away = distance(SHAPE, SIZE, RIGHT)
    scan.chi[(away > RADIUS) & (away <= RADIUS + 0.8)] = 5000.0
    _, right = contrasts(scan, labels, NAME, gap_mm=2.0)
    assert right.contrast_ppb == pytest.approx(50, abs=1)


def test_the_noise_map_gives_the_other_ratio_and_the_error():
    inside = ball(SHAPE, SIZE, RADIUS, RIGHT)
    _, right = contrasts(*brain(noise=np.where(inside, 9.0, 3.0).astype(np.float32)), NAME)
    counts = right.inside.voxels, right.around.voxels
    noise = math.sqrt((81 * counts[0] + 9 * counts[1]) / sum(counts))
    assert right.cnr_noise == pytest.approx(right.contrast_ppb / noise)
    expected = math.hypot(right.inside.standard_error, right.around.standard_error)
    assert right.standard_error == pytest.approx(expected)


def test_surroundings_without_any_spread_make_it_infinite():
    _, right = contrasts(*brain(sd=0.0), NAME)
    assert right.cnr_around == math.inf


def test_what_cannot_be_compared_is_refused():
    scan, labels = brain()
    with pytest.raises(QsmError, match="has substantia nigra, subthalamic nucleus"):
        contrasts(scan, labels, "STN")
    with pytest.raises(QsmError, match="left subthalamic nucleus lies outside the map"):
        contrasts(brain(mask=ball(SHAPE, SIZE, 6.0, RIGHT))[0], labels, NAME)
    with pytest.raises(QsmError, match="nothing unlabelled surrounds the left subthalamic"):
        contrasts(brain(mask=labels.values > 0)[0], labels, NAME)
    with pytest.raises(ValueError, match="labels are"):
        contrasts(scan, LabelMap(np.ones((2, 2, 2), np.uint8), (STN_L,)), NAME)
