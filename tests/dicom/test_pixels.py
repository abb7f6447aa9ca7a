from __future__ import annotations

import numpy as np

from gadgetron_qsm.dicom.pixels import bright_window, quantise


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
