from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.domain import Domain

MASK = np.zeros((12, 13, 14), bool)
MASK[2:9, 3:5, 13] = True


def test_the_box_is_that_of_the_mask():
    assert Domain.around(MASK, (1.0, 1.0, 1.0), 0.0).box == (
        slice(2, 9),
        slice(3, 5),
        slice(13, 14),
    )


def test_axes_are_padded_in_mm_to_good_sizes():
    assert Domain.around(MASK, (1.0, 2.0, 4.0), 6.0).shape == (16, 6, 4)  # 7 + 6, 2 + 3, 1 + 2


def test_what_is_embedded_comes_back_inside_the_mask_and_0_outside():
    domain = Domain.around(MASK, (1.0, 1.0, 1.0), 5.0)
    x = np.random.default_rng(0).random(MASK.shape)
    inside = domain.embed(x)
    assert inside.dtype == np.float32
    assert inside.shape == domain.shape
    np.testing.assert_array_equal(domain.extract(inside), np.where(MASK, x, 0).astype(np.float32))


def test_holes_of_the_mask_are_0_on_the_work_grid_whatever_is_there():
    mask = MASK.copy()
    mask[4, 3, 13] = False
    domain = Domain.around(mask, (1.0, 1.0, 1.0), 0.0)
    assert domain.embed(np.where(mask, 1, np.nan)).sum() == mask.sum()


def test_what_is_around_the_mask_on_the_work_grid_is_cut_off():
    domain = Domain.around(MASK, (1.0, 1.0, 1.0), 5.0)
    back = domain.extract(np.ones(domain.shape, np.float32))
    np.testing.assert_array_equal(back, MASK)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        Domain.around(MASK & False, (1.0, 1.0, 1.0), 5.0)


def test_it_is_the_same_on_a_device(device):
    x = np.random.default_rng(0).random(MASK.shape)
    host = Domain.around(MASK, (1.0, 2.0, 1.5), 5.0)
    there = Domain.around(device(MASK), (1.0, 2.0, 1.5), 5.0)
    assert (there.box, there.shape) == (host.box, host.shape)
    np.testing.assert_array_equal(there.embed(device(x)).get(), host.embed(x))
    np.testing.assert_array_equal(
        there.extract(there.embed(device(x))).get(), host.extract(host.embed(x))
    )


def test_an_empty_mask_on_a_device_is_refused(device):
    with pytest.raises(ValueError, match="the mask is empty"):
        Domain.around(device(MASK & False), (1.0, 1.0, 1.0), 5.0)
