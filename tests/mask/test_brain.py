from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.mask.brain import brain_mask, dilate, erode, largest_piece, otsu
from tests.analytic import ball, coordinates, distance

SHAPE, VOXEL = (45, 46, 47), (2.0, 2.0, 2.0)
BRAIN = ball(SHAPE, VOXEL, 30)


def bright(tissue, noise=0.02):
    """Magnitude of `tissue` in noise."""
    rng = np.random.default_rng(0)
    return (np.where(tissue, 1.0, 0.0) + noise * rng.random(tissue.shape)).astype(np.float32)


def overlap(a, b):
    """Dice coefficient."""
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def find(tissue, residual=None, voxel_size=VOXEL, **parameters):
    residual = np.zeros(tissue.shape) if residual is None else residual
    return brain_mask(bright(tissue), residual, voxel_size, **parameters)


def test_a_brain_is_found_but_for_single_voxels_that_stick_out():
    found = find(BRAIN)
    assert not (found & ~BRAIN).any()
    assert (found & BRAIN).sum() > 0.97 * BRAIN.sum()


def test_scalp_that_hangs_on_by_thin_bridges_is_cut_off():
    z, y, x = coordinates(SHAPE, VOXEL)
    r = distance(SHAPE, VOXEL)
    scalp = (r > 36) & (r < 42)
    bridge = (np.hypot(z, y) < 5) & (x > 0) & (r < 40)
    found = find(BRAIN | scalp | bridge)
    assert overlap(found, BRAIN) > 0.98
    assert not (found & scalp).any()


def test_without_opening_the_scalp_stays():
    _, y, x = coordinates(SHAPE, VOXEL)
    bridge = (np.abs(y) < 5) & (x > 0) & (x < 42)
    scalp = distance(SHAPE, VOXEL, (0, 0, 38)) < 5
    found = find(BRAIN | scalp | bridge, opening_mm=0.5)
    assert overlap(found, BRAIN | scalp | bridge) > 0.99


def test_voxels_whose_phase_no_field_explains_are_left_out():
    _, _, x = coordinates(SHAPE, VOXEL)
    residual = np.where(x > 10, 0.5, 0.2)
    found = find(BRAIN, residual)
    assert not (found & (x > 14)).any()
    assert overlap(found, BRAIN & (x <= 10)) > 0.95
    assert overlap(find(BRAIN, residual, largest_residual_rad=0.6), BRAIN) > 0.98


def test_holes_are_filled_and_open_notches_are_not():
    hole = ball(SHAPE, VOXEL, 7, (4, -6, 2))
    z, y, x = coordinates(SHAPE, VOXEL)
    notch = (np.hypot(y, x) < 9) & (z > 20)
    found = find(BRAIN & ~hole & ~notch)
    assert found[hole].all()
    assert not found[notch & (np.hypot(y, x) < 6)].any()


def test_narrow_clefts_are_closed_by_closing():
    _, y, _ = coordinates(SHAPE, VOXEL)
    cleft = BRAIN & (y == 0) & (distance(SHAPE, VOXEL) > 20)
    deep = cleft & (distance(SHAPE, VOXEL) < 25)
    assert find(BRAIN & ~cleft, opening_mm=4.0, closing_mm=2.0)[deep].mean() > 0.6
    assert not find(BRAIN & ~cleft, opening_mm=4.0, closing_mm=0.0)[deep].any()


@pytest.mark.parametrize("voxel_size", [(3.0, 1.5, 1.5), (1.2, 2.0, 2.4)])
def test_a_brain_of_anisotropic_voxels_is_found(voxel_size):
    shape = tuple(int(90 / size) for size in voxel_size)
    brain, r = ball(shape, voxel_size, 30), distance(shape, voxel_size)
    z, y, _ = coordinates(shape, voxel_size)
    for across in (np.hypot(z, y), np.hypot(y, coordinates(shape, voxel_size)[2])):
        bridge = (across < 5) & (r < 42)
        found = find(brain | ((r > 36) & (r < 42)) | bridge, voxel_size=voxel_size)
        assert overlap(found, brain) > 0.98


def test_the_brain_is_one_piece():
    other = ball(SHAPE, VOXEL, 8, (34, 34, 34))
    np.testing.assert_array_equal(find(BRAIN | other), find(BRAIN))


def test_what_hangs_on_by_a_neck_thinner_than_the_opening_is_cut_off():
    brain, other = ball(SHAPE, VOXEL, 24, (0, 0, -16)), ball(SHAPE, VOXEL, 18, (0, 0, 24))
    found = find(brain | other)
    assert overlap(found, brain) > 0.97
    assert not (found & other & ~brain & (coordinates(SHAPE, VOXEL)[2] > 12)).any()


def test_a_side_that_the_coils_shade_is_not_lost():
    _, _, x = coordinates(SHAPE, VOXEL)
    shade = (0.65 + 0.35 * x / 30).astype(np.float32)  # 0.3 to 1; Otsu's threshold lies above 0.3
    magnitude = bright(BRAIN) * np.clip(shade, 0, 1)
    assert otsu(magnitude) > 0.33
    found = brain_mask(magnitude, np.zeros(SHAPE), VOXEL)
    np.testing.assert_array_equal(found, find(BRAIN))


def test_something_thinner_than_the_opening_is_still_found():
    slab = np.zeros((9, 40, 40), bool)
    slab[3:6, 8:32, 8:32] = True
    assert overlap(find(slab, opening_mm=20.0), slab) > 0.9


def test_an_object_that_fills_the_grid_is_the_mask():
    shape = (9, 10, 11)
    assert brain_mask(np.ones(shape, np.float32), np.zeros(shape), VOXEL).all()


@pytest.mark.parametrize("residual", [0.0, 1.0], ids=["dark", "no phase"])
def test_nothing_to_find_is_refused(residual):
    magnitude = np.full((6, 7, 8), residual, np.float32)
    with pytest.raises(ValueError, match="no brain found"):
        brain_mask(magnitude, np.full((6, 7, 8), residual), VOXEL)


def test_otsu_separates_two_classes():
    rng = np.random.default_rng(0)
    low, high = rng.normal(20, 4, 3000), rng.normal(100, 10, 1000)
    assert 30 < otsu(np.clip(np.concatenate([low, high]), 0, None)) < 75


def test_between_classes_far_apart_otsu_takes_the_middle():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 20, 3000), rng.uniform(100, 120, 1000)
    assert otsu(np.concatenate([low, high])) == pytest.approx(60, abs=2)


def test_otsu_scales_with_the_image():
    image = np.random.default_rng(0).gamma(2, size=4000)
    assert otsu(1000 * image) == pytest.approx(1000 * otsu(image))


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
    closed = erode(dilate(mask, voxel_size, radius), voxel_size, radius)
    assert closed[mask].all()


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
