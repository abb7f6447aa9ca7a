from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.mask.brain import brain_mask
from gadgetron_qsm.mask.shading import otsu
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
