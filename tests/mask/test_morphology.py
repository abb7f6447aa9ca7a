from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask.morphology import (
    bounding_box,
    close,
    dilate,
    erode,
    fill_holes,
    largest_piece,
)
from tests.analytic import distance


def test_the_largest_piece_is_the_one_of_most_voxels_connected_by_faces():
    mask = np.zeros((1, 3, 9), bool)
    mask[0, 0, :3] = True
    mask[0, 1, 3:5] = True  # touches the first by an edge only
    mask[0, 1, 6:] = mask[0, 2, 6:] = True
    expected = np.zeros_like(mask)
    expected[0, 1:, 6:] = True
    np.testing.assert_array_equal(largest_piece(mask), expected)


def test_the_largest_piece_of_nothing_is_nothing():
    assert not largest_piece(np.zeros((2, 3, 4), bool)).any()


VOXEL = (2.0, 2.0, 2.0)
POINT = np.zeros((9, 11, 13), bool)
POINT[4, 5, 6] = True


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.0, 3.1])
def test_dilation_adds_what_lies_within_the_radius_in_mm(radius):
    voxel_size = (1.0, 1.5, 2.0)
    expected = distance(POINT.shape, voxel_size) <= radius
    np.testing.assert_array_equal(dilate(POINT, voxel_size, radius), expected)


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.0, 3.1])
def test_erosion_is_dilation_of_the_outside(radius):
    voxel_size = (1.0, 1.5, 2.0)
    expected = ~dilate(POINT, voxel_size, radius)
    np.testing.assert_array_equal(erode(~POINT, voxel_size, radius), expected)


@pytest.mark.parametrize("radius", [0.0, 1.5, 2.1])
def test_closing_loses_nothing(radius):
    mask, voxel_size = np.random.default_rng(0).random((9, 10, 11)) > 0.9, (0.7, 1.5, 2.1)
    assert close(mask, voxel_size, radius)[mask].all()


def test_the_edge_of_the_grid_is_no_outside_for_erosion():
    mask = np.zeros((3, 3, 9), bool)
    mask[..., 4:] = True
    eroded = np.zeros_like(mask)
    eroded[..., 6:] = True
    np.testing.assert_array_equal(erode(mask, (1.0, 1.0, 1.0), 2.0), eroded)


@pytest.mark.parametrize("value", [True, False])
def test_all_or_nothing_stays_under_erosion_and_dilation(value):
    mask = np.full((3, 4, 5), value)
    np.testing.assert_array_equal(erode(mask, VOXEL, 3), mask)
    np.testing.assert_array_equal(dilate(mask, VOXEL, 3), mask)


def test_what_is_enclosed_is_filled_and_what_is_open_is_not():
    walls = np.zeros((5, 5, 9), bool)
    walls[1:4, 1:4, 1:4] = walls[1:4, 1:4, 5:8] = True
    walls[2, 2, 2] = walls[2, 2, 6:8] = False
    filled = walls.copy()
    filled[2, 2, 2] = True
    np.testing.assert_array_equal(fill_holes(walls), filled)


@pytest.mark.parametrize("method", [dilate, erode, close])
def test_on_a_device_distances_are_the_same(device, method):
    mask = np.random.default_rng(0).random((9, 10, 11)) > 0.8
    got = method(device(mask), (0.7, 1.5, 2.1), 1.6)
    np.testing.assert_array_equal(to_numpy(got), method(mask, (0.7, 1.5, 2.1), 1.6))


@pytest.mark.parametrize("method", [largest_piece, fill_holes])
def test_on_a_device_pieces_and_holes_are_the_same(device, method):
    mask = np.random.default_rng(0).random((9, 10, 11)) > 0.6
    np.testing.assert_array_equal(to_numpy(method(device(mask))), method(mask))


def test_the_bounding_box_has_the_margin_in_mm_within_the_grid():
    mask = np.zeros((30, 31, 32), bool)
    mask[10:13, 2, 5:9] = True
    z, y, x = bounding_box(mask, (1.0, 2.0, 3.0), 4.0)
    assert (z, y) == (slice(4, 19), slice(0, 7))
    assert (x.start, x.stop) == (2, 12)


def test_no_bounding_box_of_nothing():
    with pytest.raises(ValueError, match="the mask is empty"):
        bounding_box(np.zeros((3, 4, 5), bool), VOXEL, 1.0)


def test_on_a_device_the_bounding_box_is_the_same(device):
    mask = np.random.default_rng(0).random((9, 10, 11)) > 0.99
    assert bounding_box(device(mask), VOXEL, 2.0) == bounding_box(mask, VOXEL, 2.0)
