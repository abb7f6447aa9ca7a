from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.phantom.shapes import Ellipsoid, Tube, rotation

AXIS = np.arange(-30, 31.0)
GRID = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij", sparse=True)  # x, y, z
SHAPES = [
    Ellipsoid((5.3, -4.2, 2.4), (12, 6, 9)),
    Ellipsoid((5.3, -4.2, 2.4), (12, 6, 9), (20, 35, -50)),
    Tube([(4, -9, 3), (9, 0, -8), (2, 12, 5)], [2, 5, 3]),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mirror_image_is_the_shape_seen_from_the_other_side(shape):
    x, y, z = GRID
    np.testing.assert_allclose(shape.mirrored().distance(x, y, z), shape.distance(-x, y, z))


@pytest.mark.parametrize("shape", SHAPES)
def test_all_of_a_shape_lies_within_its_bounds(shape):
    inside = np.argwhere(shape.distance(*GRID) < 0) - 30
    low, high = shape.bounds()
    assert (inside >= low).all()
    assert (inside <= high).all()


def test_distances_to_a_ball_are_exact():
    ball = Ellipsoid((1, 2, 3), (4, 4, 4))
    np.testing.assert_allclose(ball.distance(8.0, 2.0, 3.0), 3.0)
    np.testing.assert_allclose(ball.distance(1.0, 0.0, 3.0), -2.0)


def test_an_ellipsoid_has_its_volume_at_any_turn():
    for shape in SHAPES[:2]:
        volume = np.count_nonzero(shape.distance(*GRID) < 0)
        assert volume == pytest.approx(4 / 3 * np.pi * 12 * 6 * 9, rel=0.02)


def test_an_ellipsoid_turns_as_the_rotation_does():
    tip = rotation(20, 35, -50) @ (11.5, 0, 0) + (5.3, -4.2, 2.4)
    assert -0.6 < SHAPES[1].distance(*tip) < -0.4


def test_a_tube_is_as_wide_as_its_radii():
    tube = Tube([(0, 0, 0), (0, 0, 10)], [2, 4])
    np.testing.assert_allclose(tube.distance(5.0, 0.0, 5.0), 2.0)
    np.testing.assert_allclose(tube.distance(0.0, 0.0, 15.0), 1.0)


def test_a_turn_about_x_takes_y_to_z():
    np.testing.assert_allclose(rotation(90, 0, 0) @ (0, 1, 0), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(rotation(0, 90, 0) @ (0, 0, 1), (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(rotation(0, 0, 90) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
