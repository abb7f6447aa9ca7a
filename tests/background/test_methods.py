"""What holds for every background removal."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from gadgetron_qsm import background
from tests.analytic import OBLIQUE, ball, distance, sphere_field
from tests.background.scene import methods, removed, scene, share, small_grids

SHAPE, VOXEL_SIZE = (25, 30, 28), (1.6, 1.2, 1.3)
LEFT = {"pdf": 0.03}  # of the background's size; it stops early, so that local fields are kept
KEPT = {"pdf": 0.85}  # of a source's field; the rest is taken for background


@methods
@small_grids
def test_a_background_field_is_removed(name, shape, voxel_size):
    _, mask, field = scene(shape, voxel_size)
    assert np.ptp(field[mask]) > 0.3
    local, inside = removed(name, field, mask, voxel_size)
    assert share(local[inside], field[inside]) < LEFT.get(name, 0.01)


@methods
@small_grids
def test_the_field_of_an_inner_source_is_kept(name, shape, voxel_size):
    radius, mask, background_field = scene(shape, voxel_size)
    centre = np.multiply((0.1, 0.05, -0.1), radius)
    truth = sphere_field(shape, voxel_size, 0.25 * radius, OBLIQUE, centre)
    local, inside = removed(name, truth + background_field, mask, voxel_size)
    near = inside & (distance(shape, voxel_size, centre) < 0.5 * radius)
    slope = (local * truth)[near].sum() / (truth**2)[near].sum()
    assert KEPT.get(name, 0.93) < slope < 1.03


@methods
def test_twice_the_field_gives_twice_the_local_field(name):
    field, mask = small()
    if name == "lbv_tv":
        pytest.skip("total variation is not linear")
    once, twice = (removed(name, s * field, mask, VOXEL_SIZE)[0] for s in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-4 * np.abs(once).max())


@methods
def test_what_lies_outside_the_mask_has_no_say(name):
    field, mask = small()
    broken = np.where(mask, field, np.nan)
    np.testing.assert_array_equal(
        removed(name, broken, mask, VOXEL_SIZE)[0], removed(name, field, mask, VOXEL_SIZE)[0]
    )


@methods
def test_the_local_field_is_0_outside_its_mask_and_single_precision(name):
    field, mask = small()
    local, inside = removed(name, field.astype(float), mask, VOXEL_SIZE)
    assert local.dtype == np.float32
    assert inside.dtype == bool
    assert local.shape == inside.shape == mask.shape
    assert not local[~inside].any()
    assert not (inside & ~mask).any()


@methods
def test_field_and_mask_given_are_left_as_they_are(name):
    field, mask = small()
    before = field.copy(), mask.copy()
    inside = removed(name, field, mask, VOXEL_SIZE)[1]
    inside[...] = False
    np.testing.assert_array_equal(field, before[0])
    np.testing.assert_array_equal(mask, before[1])


@methods
def test_a_mask_at_the_edge_of_the_grid_ends_there(name):
    # as on a larger grid: nothing comes in from the opposite face
    shape = (20, 21, 22)
    wide = 9 * sphere_field((40, 41, 42), (1.0, 1.0, 1.0), 5, OBLIQUE, (0, 0, 16))
    mask = np.zeros(wide.shape, bool)
    mask[10:30, 10:31, 10:32] = True
    narrow = wide[10:30, 10:31, 10:32]
    far, _ = removed(name, wide, mask, (1.0, 1.0, 1.0))
    near, _ = removed(name, narrow, np.ones(shape, bool), (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(near, far[10:30, 10:31, 10:32])


@methods
def test_a_method_agrees_on_a_device(name, device):
    field, mask = small()
    local, inside = removed(name, device(field), device(mask), VOXEL_SIZE)
    expected, expected_inside = removed(name, field, mask, VOXEL_SIZE)
    np.testing.assert_allclose(local.get(), expected, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_array_equal(inside.get(), expected_inside)


@methods
def test_an_empty_mask_is_refused(name):
    with pytest.raises(ValueError, match="the mask is empty"):
        removed(name, np.zeros((8, 8, 8)), np.zeros((8, 8, 8), bool), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vsharp", "no sphere of 1 mm fits the mask"),
        ("resharp", r"no sphere of \d mm fits the mask"),
        ("ismv", r"no sphere of \d mm fits the mask"),
        ("pdf", "nothing is left of the mask less 1 layers of voxels"),
        ("lbv", r"nothing is left of the mask less 2 \+ 1 layers of voxels"),
        ("lbv_tv", r"nothing is left of the mask less 2 \+ 1 layers of voxels"),
    ],
)
def test_a_mask_too_thin_is_refused(name, message):
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4] = True
    with pytest.raises(ValueError, match=message):
        removed(name, np.zeros(mask.shape), mask, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("method", background.METHODS.values(), ids=list(background.METHODS))
def test_every_method_takes_field_mask_and_voxel_size(method):
    kinds = [(p.name, p.kind.name) for p in inspect.signature(method).parameters.values()]
    assert [name for name, _ in kinds[:3]] == ["field", "mask", "voxel_size"]
    assert {kind for _, kind in kinds[3:]} <= {"KEYWORD_ONLY"}


def small():
    """Field of an inner and an outer source, and a mask, on a grid soon worked through."""
    mask = ball(SHAPE, VOXEL_SIZE, 15.5)
    field = sphere_field(SHAPE, VOXEL_SIZE, 3, OBLIQUE, (2, -3, 1))
    return field + 9 * sphere_field(SHAPE, VOXEL_SIZE, 6, OBLIQUE, (14, 12, -13)), mask
