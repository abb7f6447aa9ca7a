from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.projection import minimum_projection

IMAGE = np.random.default_rng(0).uniform(1, 2, (9, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(("slice_mm", "slab_mm", "slices"), [(1.0, 3.0, 3), (2.0, 10.3, 5)])
def test_every_slice_shows_the_darkest_of_the_slab_around_it(slice_mm, slab_mm, slices):
    found = minimum_projection(IMAGE, (slice_mm, 0.5, 0.5), slab_mm=slab_mm)
    reach = slices // 2
    for z in range(9):
        slab = IMAGE[max(z - reach, 0) : z + reach + 1]
        np.testing.assert_array_equal(found[z], slab.min(axis=0))


def test_a_vein_that_crosses_the_slab_is_seen_whole_in_one_slice():
    image = np.ones((8, 9, 9), np.float32)
    for step in range(8):
        image[step, 4, step] = 0.2
    found = minimum_projection(image, (1.0, 1.0, 1.0), slab_mm=20.0)
    np.testing.assert_allclose(found[4, 4, :8], 0.2)


def test_what_lies_outside_the_mask_darkens_nothing():
    mask = np.zeros(IMAGE.shape, bool)
    mask[2:5] = True
    mask[:, 0] = False
    dark = np.where(mask, IMAGE, 0)
    found = minimum_projection(dark, (1.0, 1.0, 1.0), mask=mask, slab_mm=3.0)
    np.testing.assert_array_equal(found[2, 1:], IMAGE[2:4, 1:].min(axis=0))
    np.testing.assert_array_equal(found[:, 0], 0)
    np.testing.assert_array_equal(found[7], 0)
    nothing = np.where(mask, IMAGE, np.nan)
    again = minimum_projection(nothing, (1.0, 1.0, 1.0), mask=mask, slab_mm=3.0)
    np.testing.assert_array_equal(again, found)


def test_a_slab_of_no_slice_is_refused():
    with pytest.raises(ValueError, match="a slab of 1 mm has no slice of 3 mm"):
        minimum_projection(IMAGE, (3.0, 1.0, 1.0), slab_mm=1.0)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        minimum_projection(IMAGE, (1.0, 1.0, 1.0), mask=np.zeros(IMAGE.shape, bool))


@pytest.mark.parametrize("mask", [None, IMAGE < 1.8], ids=["everywhere", "masked"])
@pytest.mark.parametrize("slab_mm", [4.0, 6.0], ids=["even", "odd"])
def test_it_agrees_on_a_device(slab_mm, mask, device):
    there = None if mask is None else device(mask)
    found = minimum_projection(device(IMAGE), (2.0, 1.0, 1.0), mask=there, slab_mm=slab_mm)
    expected = minimum_projection(IMAGE, (2.0, 1.0, 1.0), mask=mask, slab_mm=slab_mm)
    np.testing.assert_array_equal(found.get(), expected)
