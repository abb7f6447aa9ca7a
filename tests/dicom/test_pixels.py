from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.dicom.pixels import bright_window, quantise, quantise12


def test_values_are_rounded_to_the_nearest_count():
    stored = quantise(np.array([137.4, 137.6, -42.6, 0.4], np.float32))
    assert stored.counts.tolist() == [137, 138, -43, 0]


def test_values_beyond_16_bits_have_the_nearest_count_and_are_counted():
    stored = quantise(np.array([32767.4, 32768.0, -32768.0, -40000.0, 9e9]))
    assert stored.counts.tolist() == [32767, 32767, -32768, -32768, 32767]
    assert stored.clipped == 3


def test_what_is_no_number_is_zero_and_counted_apart_from_the_clipped():
    stored = quantise(np.array([np.nan, np.inf, -np.inf, 5.0], np.float32))
    assert stored.counts.tolist() == [0, 0, 0, 5]
    assert (stored.not_finite, stored.clipped) == (3, 0)


def test_the_window_of_a_magnitude_ends_below_a_few_bright_voxels():
    values = np.concatenate([np.zeros(500), np.full(997, 100.0), np.full(3, 5000.0)])
    assert bright_window(values) == (50, 100)


def read_back(stored):
    return stored.slope * stored.counts.astype(float) + stored.intercept


def test_a_step_is_the_value_of_one_count():
    stored = quantise(np.array([-0.26, 12.34, 3276.7, 3277.0]), step=0.1)
    assert stored.counts.tolist() == [-3, 123, 32767, 32767]
    assert (stored.slope, stored.intercept, stored.clipped) == (0.1, 0, 1)


def test_twelve_bits_hold_a_signed_map_in_units_around_2048():
    stored = quantise12(np.array([-2047.0, -42.6, 0.0, 137.4, 2047.4], np.float32))
    assert stored.counts.dtype == np.uint16
    assert stored.counts.tolist() == [1, 2005, 2048, 2185, 4095]
    assert (stored.slope, stored.intercept, stored.clipped) == (1, -2048, 0)


def test_twelve_bits_hold_a_map_without_negative_values_from_0():
    stored = quantise12(np.array([0.0, 0.4, 4095.0, -0.2], np.float32))
    assert stored.counts.tolist() == [0, 0, 4095, 0]
    assert (stored.slope, stored.intercept, stored.lowest) == (1, 0, 0)


@pytest.mark.parametrize(
    ("most", "slope"), [(2047.4, 1), (2048, 2), (4095, 5), (-10_200, 5), (20_000, 10), (-4e4, 20)]
)
def test_twelve_bits_take_the_finest_step_that_clips_nothing(most, slope):
    data = np.linspace(-1, most, 4001)
    stored = quantise12(data)
    assert (stored.slope, stored.clipped) == (slope, 0)
    np.testing.assert_allclose(read_back(stored), data, rtol=0, atol=slope / 2 + 1e-9)


def test_twelve_bits_clip_what_the_coarsest_step_does_not_reach():
    stored = quantise12(np.array([-50_000.0, 50_000.0, 7.0]))
    assert stored.counts.tolist() == [1, 4095, 2048]
    assert stored.clipped == 2


@pytest.mark.parametrize(
    ("reach", "slope", "clipped"), [(2000, 1, 2), (2040.4, 1, 2), (4e4, 20, 0)]
)
def test_twelve_bits_are_as_fine_as_what_is_valid_allows(reach, slope, clipped):
    data = np.array([-300.0, 2000.0, -30_000.0, 30_000.0])
    stored = quantise12(data, reach=reach)
    assert (stored.slope, stored.clipped) == (slope, clipped)
    assert stored.holds(reach)
    np.testing.assert_allclose(read_back(stored)[:2], data[:2], atol=slope / 2)


def test_what_is_valid_and_beyond_the_coarsest_step_is_not_held():
    stored = quantise12(np.array([-50_000.0, 7.0]), reach=50_000)
    assert (stored.clipped, stored.holds(50_000), stored.holds(None)) == (1, False, False)


def test_twelve_bits_of_what_is_no_number_read_as_zero():
    stored = quantise12(np.array([np.nan, -np.inf, -5.0], np.float32))
    assert read_back(stored).tolist() == [0, 0, -5]
    assert (stored.not_finite, stored.clipped) == (2, 0)


def test_twelve_bits_of_tenths_have_a_slope_without_rounding_error():
    stored = quantise12(np.array([-300.0, 300.0]), step=0.1)
    assert (stored.slope, stored.intercept) == (0.2, -409.6)
