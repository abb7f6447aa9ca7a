from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.romeo import romeo
from tests.analytic import ball, coordinates
from tests.device import DeviceArray

TIMES_S = (5e-3, 10.5e-3, 15.5e-3)
TURN = 2 * np.pi


def wrap(phase):
    return np.angle(np.exp(1j * phase)).astype(np.float32)


def echoes(field_hz, times_s=TIMES_S):
    """True phase (echo, z, y, x) in rad."""
    return np.stack([TURN * field_hz * te for te in times_s])


def bowl(shape):
    """A field (Hz) of many turns, with less than half a turn between voxels at 5 ms."""
    z, y, x = coordinates(shape, (1, 1, 1))
    field_hz = 3.5 * (x**2 - 0.9 * y**2) + 2 * z**2 + 30 * z
    return field_hz - field_hz.mean()


@pytest.mark.parametrize("shape", [(17, 20, 23), (16, 24, 18), (1, 27, 25)])
def test_a_strong_smooth_field_is_unwrapped_exactly_in_every_echo(shape):
    truth = echoes(bowl(shape))
    assert np.ptp(truth[0]) > 4 * TURN
    unwrapped = romeo(wrap(truth), np.ones_like(truth), TIMES_S)
    np.testing.assert_allclose(unwrapped, truth, atol=1e-3)


def test_unwrapping_changes_the_phase_by_whole_turns_in_single_precision():
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (2, 5, 6, 7)).astype(np.float32)
    unwrapped = romeo(phase, np.ones_like(phase), TIMES_S[:2])
    turns = (unwrapped - phase) / TURN
    assert unwrapped.dtype == np.float32
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)


def test_a_single_echo_is_unwrapped_and_lies_around_0():
    truth = echoes(bowl((17, 20, 23)), TIMES_S[:1])
    unwrapped = romeo(wrap(truth), np.ones_like(truth), TIMES_S[:1])
    np.testing.assert_allclose(unwrapped, truth, atol=1e-3)


def test_a_single_echo_of_an_off_centre_frequency_is_moved_towards_0():
    truth = echoes(bowl((17, 20, 23)) + 230, TIMES_S[:1])  # 1.15 turns
    unwrapped = romeo(wrap(truth), np.ones_like(truth), TIMES_S[:1])
    np.testing.assert_allclose(unwrapped, truth - TURN, atol=1e-3)


def test_an_echo_without_signal_where_the_first_is_bright_is_unwrapped_all_the_same():
    magnitude = np.ones((2, 3, 4, 5), np.float32)
    magnitude[0, 1, 1, 1], magnitude[1, 1, 1, 1] = 1e20, 0
    phase = np.zeros_like(magnitude)
    np.testing.assert_array_equal(romeo(phase, magnitude, TIMES_S[:2]), phase)


@pytest.mark.parametrize("steepness", [0.8, 1.2])  # 1.2: the second echo turns by more than pi
@pytest.mark.parametrize("times_s", [TIMES_S, TIMES_S[:1]])
def test_noise_around_an_object_does_not_spoil_it(times_s, steepness):
    shape, rng = (17, 24, 27), np.random.default_rng(0)
    inside = ball(shape, (1, 1, 1), 8)
    field_hz = (bowl(shape) - bowl(shape)[inside].mean()) * steepness
    truth = echoes(np.where(inside, field_hz, 0), times_s)
    assert np.ptp(truth[0]) > 2 * TURN
    noise = rng.uniform(-np.pi, np.pi, truth.shape)
    magnitude = np.where(inside, 1, 0.03 * rng.random(truth.shape)).astype(np.float32)
    unwrapped = romeo(np.where(inside, wrap(truth), noise), magnitude, times_s)
    np.testing.assert_allclose(unwrapped[:, inside], truth[:, inside], atol=1e-3)


@pytest.mark.parametrize("between", [0.0, 0.02], ids=["nothing between", "noise between"])
def test_two_objects_are_each_unwrapped_up_to_turns_of_their_own(between):
    shape, rng = (15, 17, 40), np.random.default_rng(0)
    pieces = [ball(shape, (1, 1, 1), 7, (0, 0, x)) for x in (-11, 11)]
    truth = echoes(bowl(shape) / 2, TIMES_S[:1])
    magnitude = np.where(pieces[0] | pieces[1], 1, between)[None]
    phase = np.where(magnitude == 1, wrap(truth), rng.uniform(-3, 3, truth.shape))
    unwrapped = romeo(phase, magnitude, TIMES_S[:1])
    for piece in pieces:
        off = (unwrapped - truth)[0, piece]
        np.testing.assert_allclose(off, TURN * np.round(off[0] / TURN), atol=1e-3)


def two_rooms(turns=1):
    """Two rooms of phase 0, a wall of six voxels between, a gap in the wall; phase of two echoes.

    The phase rises by whole `turns` through the wall; through the gap it rises by 1.2 rad a voxel
    and falls again.
    """
    wall = np.zeros((4, 12, 20), bool)
    wall[:, :9, 7:13] = True
    first = np.zeros(wall.shape)
    first[:, :9] = turns * TURN * np.clip((np.arange(20) - 6) / 7, 0, 1)
    first[:, 9:, 8], first[:, 9:, 9:11], first[:, 9:, 11] = 1.2, 2.4, 1.2
    return wall, np.stack([first, 2 * first])


def through_the_gap(phase, magnitude):
    """Whether the second room got the phase of the first."""
    times_s = (5e-3, 10e-3)[: len(phase)]
    unwrapped = romeo(wrap(phase), magnitude.astype(np.float32), times_s)
    return np.ptp(np.round(unwrapped[0][:, :, [0, 19]] / TURN)) == 0


@pytest.mark.parametrize(("turns", "gap"), [(1, False), (2, True)], ids=["0.9 rad", "1.8 rad"])
def test_unwrapping_goes_where_the_phase_is_smoother_than_1_2_rad(turns, gap):
    phase = two_rooms(turns)[1][:1]
    assert through_the_gap(phase, np.ones_like(phase)) == gap


def test_unwrapping_avoids_edges_of_the_magnitude():
    wall, phase = two_rooms()
    magnitude = np.broadcast_to(np.where(wall, 0.2, 1.0), phase.shape)
    assert through_the_gap(phase, magnitude)


def test_unwrapping_avoids_edges_whose_phase_does_not_grow_with_echo_time():
    wall, phase = two_rooms()
    phase[1, wall] += np.broadcast_to([0, 1.5] * 3, (4, 9, 6)).ravel()
    assert through_the_gap(phase, np.ones_like(phase))


@pytest.mark.parametrize("centre_hz", [-300, -190, -100, 0, 60, 170, 230, 420])
def test_an_off_centre_frequency_is_found_so_that_the_echoes_agree(centre_hz):
    times_s = (4.5e-3, 9.8e-3, 15.1e-3)
    truth = echoes(centre_hz + 0.1 * bowl((9, 10, 11)), times_s)
    unwrapped = romeo(wrap(truth), np.ones_like(truth), times_s)
    np.testing.assert_allclose(unwrapped, truth, atol=2e-3)


@pytest.mark.parametrize("centre_hz", [-170, 60, 170, 230])
def test_of_frequencies_that_explain_the_echoes_alike_the_nearest_to_0_is_taken(centre_hz):
    times_s = (5e-3, 10e-3, 15e-3)
    truth = echoes(centre_hz + 0.1 * bowl((9, 10, 11)), times_s)
    nearest = echoes(centre_hz - 200 * np.round(centre_hz / 200) + 0.1 * bowl((9, 10, 11)), times_s)
    unwrapped = romeo(wrap(truth), np.ones_like(truth), times_s)
    np.testing.assert_allclose(unwrapped, nearest, atol=2e-3)


@pytest.mark.parametrize("times_s", [(5e-3, 10e-3), (5e-3,)], ids=["two echoes", "one echo"])
def test_the_nearest_to_0_is_that_of_the_median_wherever_unwrapping_began(times_s):
    _, y, x = coordinates((2, 61, 61), (1, 1, 1))
    field_hz = 1.5 * (x**2 + y**2)
    truth = echoes(field_hz - np.median(field_hz), times_s)
    assert truth[0, 0, 30, 30] < -4 * TURN  # where the phase is flattest
    unwrapped = romeo(wrap(truth), np.ones_like(truth), times_s)
    np.testing.assert_allclose(unwrapped, truth, atol=2e-3)


def test_a_small_disagreement_of_the_echoes_makes_no_turn():
    times_s = (5e-3, 10.01e-3)
    truth = echoes(0.1 * bowl((9, 10, 11)), times_s)
    truth[1] -= 0.05  # what a turn more would explain better, by chance
    unwrapped = romeo(wrap(truth), np.ones_like(truth), times_s)
    np.testing.assert_allclose(unwrapped, truth, atol=2e-3)


def test_the_offset_is_that_of_the_bright_voxels():
    times_s, shape = (4.5e-3, 9.8e-3), (8, 9, 20)
    bright = np.arange(20) < 5
    truth = echoes(np.where(bright, 170, 40) + np.zeros(shape), times_s)
    magnitude = np.where(bright, 1, 0.1) + np.zeros(truth.shape)
    unwrapped = romeo(wrap(truth), magnitude, times_s)
    np.testing.assert_allclose(unwrapped[..., bright], truth[..., bright], atol=1e-3)


@pytest.mark.parametrize("centre_hz", [-90, 90])
def test_noise_around_an_object_has_no_say_in_what_is_nearest_to_0(centre_hz):
    shape, rng = (17, 36, 37), np.random.default_rng(0)
    inside = ball(shape, (1, 1, 1), 6)
    field_hz = bowl(shape) - np.median(bowl(shape)[inside])
    truth = echoes(np.where(inside, centre_hz + field_hz, 0), TIMES_S[:1])
    noise = rng.uniform(-np.pi, np.pi, truth.shape)
    magnitude = np.where(inside, 1, 0.19 * rng.random(truth.shape))
    assert magnitude[:, inside].sum() < magnitude[:, ~inside].sum()
    unwrapped = romeo(np.where(inside, wrap(truth), noise), magnitude, TIMES_S[:1])
    np.testing.assert_allclose(unwrapped[:, inside], truth[:, inside], atol=1e-3)


def test_an_image_without_signal_stays_as_it_is():
    phase = np.full((2, 3, 4, 5), 0.5, np.float32)
    np.testing.assert_array_equal(romeo(phase, 0 * phase, TIMES_S[:2]), phase)


def test_nothing_outside_the_mask_has_a_say():
    shape, rng = (15, 16, 17), np.random.default_rng(0)
    mask = ball(shape, (1, 1, 1), 6)
    truth = echoes(bowl(shape) - np.median(bowl(shape)[mask]))
    noise = rng.uniform(-np.pi, np.pi, truth.shape)
    noise[:, ~mask & (rng.random(shape) < 0.5)] = np.nan
    magnitude = np.where(mask, 1, 100 * rng.random(truth.shape))
    magnitude[np.isnan(noise)] = np.nan
    unwrapped = romeo(np.where(mask, wrap(truth), noise), magnitude, TIMES_S, mask)
    np.testing.assert_allclose(unwrapped, np.where(mask, truth, 0), atol=1e-3)


def test_the_mask_is_not_left_to_get_round_a_wall():
    wall, phase = two_rooms(2)
    mask = np.ones(wall.shape, bool)
    mask[:, 9:] = False
    unwrapped = romeo(wrap(phase), np.ones_like(phase), (5e-3, 10e-3), mask)
    assert np.ptp(np.round(unwrapped[0][:, :9][:, :, [0, 19]] / TURN)) > 0


def test_an_empty_mask_is_refused():
    phase = np.zeros((2, 3, 4, 5))
    with pytest.raises(ValueError, match="mask is empty"):
        romeo(phase, phase + 1, TIMES_S[:2], np.zeros((3, 4, 5), bool))


def test_a_voxel_that_grew_along_a_bad_edge_is_mended():
    phase = np.zeros((1, 5, 6, 7), np.float32)
    phase[0, 2, 3, 3], phase[0, 2, 3, 4] = 2.2, 4.0  # by this edge comes 4.0, by all others -2.3
    unwrapped = romeo(wrap(phase), np.ones_like(phase), TIMES_S[:1])
    assert unwrapped[0, 2, 3, 4] == pytest.approx(4 - TURN, abs=1e-5)


@pytest.mark.parametrize("off", [-2.8, 1.5, 3.1])
def test_what_an_echo_is_off_as_a_whole_makes_no_wraps(off):
    truth = echoes(bowl((9, 10, 11)), (5e-3, 15e-3, 25e-3))
    truth[1] += off
    unwrapped = romeo(wrap(truth), np.ones_like(truth), (5e-3, 15e-3, 25e-3))
    np.testing.assert_allclose(unwrapped[1] - truth[1], 0, atol=2e-3)


def test_an_echo_that_time_does_not_predict_is_unwrapped_in_space():
    truth = echoes(0.1 * bowl((9, 16, 31)), (5e-3, 10e-3, 15e-3))
    truth[1] += 0.4 * np.arange(-15, 16)  # as of a readout of the other direction
    unwrapped = romeo(wrap(truth), np.ones_like(truth), (5e-3, 10e-3, 15e-3))
    np.testing.assert_allclose(unwrapped[1] - truth[1], 0, atol=2e-3)


def test_later_echoes_are_predicted_by_all_before_them():
    """Noise of the echo before alone, times the growth, would make turns."""
    times_s, rng = (10e-3, 11e-3, 40e-3), np.random.default_rng(0)
    truth = echoes(bowl((9, 10, 11)) * 0.3, times_s)
    magnitude = np.reshape([1, 0.05, 1], (3, 1, 1, 1)) + np.zeros(truth.shape)
    noisy = truth + rng.normal(scale=0.02, size=truth.shape) / magnitude
    unwrapped = romeo(wrap(noisy), magnitude, times_s)
    np.testing.assert_allclose(unwrapped[2], noisy[2], atol=2e-3)


def test_romeo_agrees_on_a_device(device):
    rng = np.random.default_rng(0)
    phase = wrap(echoes(bowl((9, 10, 11))) + rng.normal(scale=0.1, size=(3, 9, 10, 11)))
    mask = ball((9, 10, 11), (1, 1, 1), 4)
    got = romeo(device(phase), device(np.ones_like(phase)), TIMES_S, device(mask))
    np.testing.assert_array_equal(got.get(), romeo(phase, np.ones_like(phase), TIMES_S, mask))


def test_of_a_device_array_nothing_but_numbers_comes_to_the_host(device, monkeypatch):
    monkeypatch.setattr(DeviceArray, "get", None)
    phase = device(wrap(echoes(bowl((9, 10, 11)))))
    romeo(phase, phase * 0 + 1, TIMES_S, phase[0] < 3)


@pytest.mark.parametrize("times_s", [TIMES_S, TIMES_S[:1]], ids=["three echoes", "one echo"])
def test_noise_is_unwrapped_on_a_device_as_on_the_host(device, times_s):
    """In noise most voxels jump, costs are often equal, and thousands are mended."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(2, len(times_s), 20, 21, 22)).astype(np.float32)
    phase, magnitude = np.arctan2(*signal), np.hypot(*signal)
    got = romeo(device(phase), device(magnitude), times_s)
    np.testing.assert_array_equal(got.get(), romeo(phase, magnitude, times_s))
