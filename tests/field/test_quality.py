from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.quality import edge_costs, romeo_quality
from tests.analytic import ball

SHAPE, TIMES_S = (9, 11, 13), (5e-3, 10e-3)


def phase_of(field_hz, times_s=TIMES_S):
    phase = 2 * np.pi * np.multiply.outer(times_s, field_hz)
    return np.angle(np.exp(1j * phase)).astype(np.float32)


def test_a_constant_image_is_of_quality_1_up_to_its_rim():
    phase = phase_of(np.full(SHAPE, 130.0))
    np.testing.assert_allclose(romeo_quality(phase, np.ones_like(phase), TIMES_S), 1, atol=0.01)


def test_the_object_is_far_better_than_the_noise_around_it():
    rng, inside = np.random.default_rng(0), ball((25, 26, 27), (1, 1, 1), 9)
    field_hz = 5.0 * np.arange(27) + np.zeros(inside.shape)
    noise = rng.normal(size=(2, 2, *inside.shape)) * 0.02
    signal = inside * np.exp(1j * phase_of(field_hz)) + noise[0] + 1j * noise[1]
    quality = romeo_quality(np.angle(signal), np.abs(signal), TIMES_S)
    core = ball(inside.shape, (1, 1, 1), 7)
    assert np.percentile(quality[core], 1) > 0.7
    assert np.percentile(quality[~ball(inside.shape, (1, 1, 1), 11)], 90) < 0.3


@pytest.mark.parametrize("times_s", [TIMES_S, TIMES_S[:1]])
def test_steps_cost_quality_in_the_voxels_they_lie_between(times_s):
    field_hz = np.where(np.arange(13) < 6, 0, 40.0) + np.zeros(SHAPE)  # 0.2 turns at 5 ms
    phase = phase_of(field_hz, times_s)
    quality = romeo_quality(phase, np.ones_like(phase), times_s)
    assert quality[4, 5, [5, 6]].max() < 0.95
    assert quality[4, 5, [3, 8]].min() > 0.95


def test_a_dark_neighbour_costs_quality():
    phase = np.zeros((1, *SHAPE), np.float32)
    magnitude = np.where(np.arange(13) < 6, 1, 0.3) + np.zeros_like(phase)
    quality = romeo_quality(phase, magnitude, TIMES_S[:1])
    expected = (5 + 0.3**2) / 6  # one edge of six
    np.testing.assert_allclose(quality[4, 5, [5, 6]], expected, atol=0.01)


def test_phase_that_does_not_grow_with_echo_time_costs_quality():
    phase = np.zeros((2, *SHAPE), np.float32)
    phase[1, 4, 5, 6] = 1.5
    quality = romeo_quality(phase, np.ones_like(phase), TIMES_S)
    assert quality[4, 5, 6] == pytest.approx(1 - 1.5 / 2, abs=0.02)


def test_wraps_have_no_say():
    phase = phase_of(30.0 * np.arange(13) + np.zeros(SHAPE))
    wraps = 2 * np.pi * np.random.default_rng(0).integers(-2, 3, phase.shape)
    magnitude = np.ones_like(phase)
    expected = romeo_quality(phase, magnitude, TIMES_S)
    np.testing.assert_allclose(
        romeo_quality(phase + wraps, magnitude, TIMES_S), expected, atol=0.01
    )


def test_no_signal_is_no_quality():
    phase = np.zeros((2, *SHAPE), np.float32)
    np.testing.assert_array_equal(romeo_quality(phase, 0 * phase, TIMES_S), 0)


def test_quality_agrees_on_a_device(device):
    rng = np.random.default_rng(0)
    phase = rng.uniform(-3, 3, (2, *SHAPE)).astype(np.float32)
    magnitude = rng.uniform(0.5, 1, phase.shape).astype(np.float32)
    got = romeo_quality(device(phase), device(magnitude), TIMES_S)
    np.testing.assert_array_equal(got.get(), romeo_quality(phase, magnitude, TIMES_S))


@pytest.mark.parametrize("times_s", [TIMES_S, TIMES_S[:1], TIMES_S[::-1]])
@pytest.mark.parametrize("shape", [SHAPE, (2, 3, 4), (1, 5, 2), (4, 1, 3), (3, 4, 1), (1, 1, 1)])
def test_costs_are_the_same_to_the_last_bit_on_a_device(device, shape, times_s):
    rng = np.random.default_rng(0)
    phase = rng.uniform(-9, 9, (len(times_s), *shape)).astype(np.float32)
    magnitude = rng.uniform(0.5, 1, phase.shape).astype(np.float32)
    magnitude[rng.random(phase.shape) < 0.3] = 0
    for echo in range(len(times_s)):
        got = edge_costs(device(phase), device(magnitude), times_s, echo)
        np.testing.assert_array_equal(got.get(), edge_costs(phase, magnitude, times_s, echo))
