from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask import METHODS
from gadgetron_qsm.mask.brain import bet_mask, bright
from gadgetron_qsm.mask.morphology import erode
from tests.analytic import ball, coordinates, distance

SHAPE, VOXEL = (46, 47, 49), (4.0, 4.0, 4.0)
BRAIN = ball(SHAPE, VOXEL, 60)
RADIUS = distance(SHAPE, VOXEL)
SCALP = (RADIUS > 70) & (RADIUS < 82)


def seen(tissue):
    signal = scipy.ndimage.gaussian_filter(tissue.astype(np.float32), 0.4)
    noise = 0.03 * np.abs(np.random.default_rng(0).standard_normal(SHAPE))
    return (signal + noise).astype(np.float32)


def residual(tissue, bad=None):
    """Small in tissue, that of random phase elsewhere and in `bad`."""
    rng = np.random.default_rng(1)
    random = rng.uniform(0.5, 2, SHAPE)
    sound = tissue if bad is None else tissue & ~bad
    return np.where(sound, rng.uniform(0, 0.15, SHAPE), random).astype(np.float32)


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


HEAD = BRAIN | SCALP
MAGNITUDE = seen(HEAD)


@pytest.fixture(scope="module")
def plain():
    return bet_mask(MAGNITUDE, residual(HEAD), VOXEL)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_finds_the_brain_and_no_scalp(method):
    found = method(MAGNITUDE, residual(HEAD), VOXEL)
    assert overlap(found, BRAIN) > 0.97
    assert not (found & SCALP).any()
    assert found.dtype == bool


def test_strong_sources_in_the_brain_are_no_holes():
    bleed, calcified = ball(SHAPE, VOXEL, 8, (10, 20, -8)), ball(SHAPE, VOXEL, 6, (-20, 5, 30))
    found = bet_mask(seen(HEAD & ~bleed), residual(HEAD, bleed | calcified), VOXEL)
    assert found[bleed | calcified].all()


def test_a_region_at_the_rim_whose_phase_is_lost_is_left_out(plain):
    sinus = ball(SHAPE, VOXEL, 20, (0, -60, 0)) & BRAIN
    found = bet_mask(MAGNITUDE, residual(HEAD, sinus), VOXEL)
    assert plain[sinus].mean() > 0.8
    assert found[sinus].mean() < 0.1
    assert (found & ~sinus).sum() > 0.97 * (plain & ~sinus).sum()


def test_a_large_closing_stays_within_the_surface():
    notch = ball(SHAPE, VOXEL, 18, (0, 0, 60))
    sound = HEAD & ~notch
    found = bet_mask(seen(sound), residual(sound), VOXEL, closing_mm=30)
    assert found[notch & BRAIN].mean() < 0.2
    assert not (found & SCALP).any()


def test_closing_of_a_flat_end_adds_nothing_however_large():
    end = BRAIN & (coordinates(SHAPE, VOXEL)[0] > 44)
    found = bet_mask(MAGNITUDE, residual(HEAD, end), VOXEL, closing_mm=32)
    assert found[end].mean() < 0.1


def test_what_is_dark_at_the_rim_is_left_out_whatever_its_phase():
    _, y, x = coordinates(SHAPE, VOXEL)
    cleft = BRAIN & (np.abs(y) < 3) & (x > 20)
    found = bet_mask(seen(HEAD & ~cleft), residual(HEAD), VOXEL, closing_mm=0)
    assert not found[cleft].any()


def test_closing_fills_what_is_open_at_the_rim():
    crack = (np.abs(coordinates(SHAPE, VOXEL)[2]) < 3) & (coordinates(SHAPE, VOXEL)[0] > 30) & BRAIN
    bad = residual(HEAD, crack)
    open_, closed = (bet_mask(MAGNITUDE, bad, VOXEL, closing_mm=mm) for mm in (0, 4))
    assert not open_[crack].any()
    assert closed[crack & (RADIUS < 52)].mean() > 0.9


def test_opening_cuts_off_what_is_thin():
    spike = (np.abs(coordinates(SHAPE, VOXEL)[:2]).max(axis=0) < 3) & (RADIUS < 68)
    bad = residual(HEAD | spike, BRAIN & (RADIUS > 44) & ~spike)
    thin = spike & (RADIUS > 52) & BRAIN
    wide = bet_mask(MAGNITUDE, bad, VOXEL, opening_mm=0.0)
    opened = bet_mask(MAGNITUDE, bad, VOXEL, opening_mm=6.0)
    assert wide[thin].mean() > 0.9
    assert not opened[thin].any()


def test_the_mask_is_eroded_in_mm(plain):
    eroded = bet_mask(MAGNITUDE, residual(HEAD), VOXEL, erosion_mm=9.0)
    np.testing.assert_array_equal(eroded, erode(plain, VOXEL, 9.0))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_erosion_that_leaves_nothing_is_refused(method):
    with pytest.raises(ValueError, match="erosion by 80 mm leaves nothing"):
        method(MAGNITUDE, residual(HEAD), VOXEL, erosion_mm=80.0)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_head_without_phase_or_signal_is_refused(method):
    with pytest.raises(ValueError, match="no brain found"):
        method(MAGNITUDE, np.full(SHAPE, 1.6, np.float32), VOXEL)
    with pytest.raises(ValueError, match="no brain found"):
        method(np.zeros(SHAPE, np.float32), residual(HEAD), VOXEL)


def test_a_poor_quality_map_leaves_voxels_out():
    quality = np.where(RADIUS > 52, 0.1, 0.95).astype(np.float32)
    found = bet_mask(MAGNITUDE, residual(HEAD), VOXEL, quality=quality)
    assert not (found & (RADIUS > 54)).any()
    assert found[RADIUS < 50].all()


def test_bright_is_half_of_the_brain_nearby_however_shaded():
    shade = np.interp(coordinates(SHAPE, VOXEL)[1], (-60, 60), (0.3, 1)).astype(np.float32)
    for part, expected in ((0.7, True), (0.3, False)):
        spot = ball(SHAPE, VOXEL, 9, (0, -20, 20))
        magnitude = np.where(BRAIN, np.where(spot, part, 1), 0.02) * shade
        assert (bright(magnitude, BRAIN, VOXEL)[spot] == expected).all()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_on_a_device_the_mask_is_the_same(device, method):
    found = method(device(MAGNITUDE), device(residual(HEAD)), VOXEL)
    assert overlap(to_numpy(found), method(MAGNITUDE, residual(HEAD), VOXEL)) > 0.9999
