from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask.bet import bet
from tests.analytic import coordinates, distance
from tests.device import DeviceArray

VOXEL = (4.0, 4.0, 4.0)
SHAPE = (50, 48, 46)


def parts(shape=SHAPE, voxel_size=VOXEL, centre=(0, 0, 0), neck=True):
    """Brain and the rest that signals (z, y, x): scalp beyond a dark skull, and a wide neck."""
    z, y, x = coordinates(shape, voxel_size) - np.reshape(centre, (3, 1, 1, 1))
    r = np.sqrt((z / 1.1) ** 2 + y**2 + (x / 0.9) ** 2)
    brain = r < 60
    scalp = (r > 72) & (r < 84)
    if neck:
        scalp |= (z < -40) & (np.hypot(y, x) < 55) & (r > 72)
    return brain, scalp


def seen(brain, scalp, shade=None, blur=0.5):
    """Magnitude of both with partial volume, shading and noise."""
    signal = scipy.ndimage.gaussian_filter((brain + 0.9 * scalp).astype(np.float32), blur)
    noise = 0.03 * np.abs(np.random.default_rng(0).standard_normal(brain.shape))
    return ((signal if shade is None else signal * shade) + noise).astype(np.float32)


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def plain():
    brain, scalp = parts()
    magnitude = seen(brain, scalp)
    return brain, scalp, magnitude, bet(magnitude, VOXEL)


def test_the_brain_is_extracted_and_the_scalp_and_neck_are_not(plain):
    brain, scalp, _, found = plain
    assert overlap(found, brain) > 0.96
    assert not (found & scalp).any()


def test_the_unit_of_the_magnitude_does_not_matter(plain):
    _, _, magnitude, found = plain
    assert overlap(bet(1e-5 * magnitude, VOXEL), found) > 0.999


def test_the_shading_of_the_coils_does_not_move_the_surface(plain):
    brain, scalp, _, _ = plain
    shade = 0.4 + 1.6 * (distance(SHAPE, VOXEL, (30, -60, 40)) / 150) ** 2
    assert overlap(bet(seen(brain, scalp, shade), VOXEL), brain) > 0.95


@pytest.mark.parametrize("centre", [(0, 0, 0), (-20, 14, -10)])
@pytest.mark.parametrize(
    ("shape", "voxel_size"), [((35, 97, 49), (6.0, 2.0, 4.0)), ((97, 37, 65), (2.0, 5.0, 3.0))]
)
def test_voxels_may_be_anisotropic_and_the_head_off_the_centre(shape, voxel_size, centre):
    brain, scalp = parts(shape, voxel_size, centre)
    found = bet(seen(brain, scalp), voxel_size)
    assert overlap(found, brain) > 0.94
    assert (found & scalp).sum() < 0.005 * brain.sum()


def test_fine_voxels_are_averaged_and_the_surface_lies_where_it_is():
    shape, voxel_size, centre = (90, 61, 46), (1.0, 1.5, 2.0), (3, -2, 4)
    r = distance(shape, voxel_size, centre)
    brain = r < 30
    found = bet(seen(brain, (r > 36) & (r < 40)), voxel_size)
    assert overlap(found, brain) > 0.95
    assert found.sum() == pytest.approx(brain.sum(), rel=0.05)  # 0.5 mm on all sides
    off = np.subtract(*(scipy.ndimage.center_of_mass(mask) for mask in (found, brain)))
    np.testing.assert_allclose(off * voxel_size, 0, atol=0.2)  # half a voxel is 0.5 mm


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slab_is_filled_to_its_dark_ends(axis):
    brain, scalp = parts(neck=False)
    magnitude = seen(brain, scalp)
    cut = [slice(None)] * 3
    cut[axis] = slice(20, 32)
    slab, part = magnitude[tuple(cut)].copy(), brain[tuple(cut)]
    np.moveaxis(slab, axis, 0)[0] *= 0.4
    np.moveaxis(slab, axis, 0)[-1] *= 0.3
    found = bet(slab, VOXEL)
    assert overlap(found, part) > 0.95
    ends = np.moveaxis(found, axis, 0)[[0, -1]]
    assert ends.sum() > 0.9 * np.moveaxis(part, axis, 0)[[0, -1]].sum()


def test_a_bridge_from_brain_to_scalp_is_cut(plain):
    brain, scalp, _, _ = plain
    z, y, x = coordinates(SHAPE, VOXEL)
    bridge = (np.hypot(z, y) < 7) & (x > 0) & (x < 74)
    found = bet(seen(brain, scalp | bridge), VOXEL)
    assert overlap(found, brain) > 0.94
    assert (found & scalp).sum() < 0.01 * brain.sum()


def test_dark_spots_deep_in_the_brain_do_not_dent_it(plain):
    brain, scalp, _, _ = plain
    spot = distance(SHAPE, VOXEL, (10, 10, 10)) < 9
    found = bet(seen(brain & ~spot, scalp), VOXEL)
    assert found[spot].all()
    assert overlap(found, brain) > 0.95


def test_a_narrow_cleft_is_spanned_by_the_smooth_surface(plain):
    brain, scalp, _, _ = plain
    z, y, _ = coordinates(SHAPE, VOXEL)
    cleft = brain & (np.abs(y) < 3) & (z > 20)
    assert bet(seen(brain & ~cleft, scalp), VOXEL)[cleft].mean() > 0.5


def test_what_is_thin_however_large_does_not_draw_the_surface_away():
    shape = (76, 48, 46)
    z, y, x = coordinates(shape, VOXEL) - np.reshape((72, 0, 0), (3, 1, 1, 1))
    r = np.sqrt(z**2 + y**2 + x**2)
    brain, across = r < 60, np.hypot(y, x)
    plates = (z < -80) & (across < 80) & (x % 24 < 16)
    joined = (r > 72) & (r < 84) & (z > -84) | (z < -72) & (z > -90) & (across < 80)
    neck = (across < 11) & (z < 0)
    found = bet(seen(brain, (plates | joined | neck) & ~brain), VOXEL)
    assert overlap(found, brain) > 0.95


def test_a_higher_threshold_makes_the_brain_no_larger(plain):
    _, _, magnitude, found = plain
    higher = bet(magnitude, VOXEL, fractional_threshold=0.6)
    assert higher.sum() < found.sum()


def test_an_object_that_fills_the_grid_is_found_whole():
    assert bet(np.ones((20, 21, 22), np.float32), VOXEL).mean() > 0.98


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="no brain found"):
        bet(np.zeros((12, 13, 14), np.float32), VOXEL)


def test_on_a_device_the_brain_is_the_same(device, plain):
    _, _, magnitude, found = plain
    assert overlap(to_numpy(bet(device(magnitude), VOXEL)), found) > 0.9999


def test_of_a_device_array_no_more_than_voxels_of_2_mm_come_to_the_host(device, monkeypatch):
    sizes, get = [], DeviceArray.get
    monkeypatch.setattr(DeviceArray, "get", lambda self: (sizes.append(self.size), get(self))[1])
    r = distance((60, 64, 62), (1, 1, 1))
    bet(device(seen(r < 25, (r > 28) & (r < 30))), (1.0, 1.0, 1.0))
    assert max(sizes, default=0) <= r.size / 8
