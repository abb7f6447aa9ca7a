from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.line import echo_trust, fit_line, follow

TIMES_S = (4e-3, 9e-3, 15e-3, 18e-3)
TURN = 2 * np.pi


def volume(*values):
    return np.reshape(values, (-1, 1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("offset", [False, True])
def test_the_line_is_that_of_weighted_least_squares(offset):
    rng = np.random.default_rng(0)
    phase, weight = rng.normal(size=4), rng.uniform(0.2, 1, 4)
    line = fit_line(volume(*phase), volume(*weight), TIMES_S, offset=offset)
    unknowns = [np.array(TIMES_S), np.ones(4)][: 1 + offset]
    root = np.sqrt(weight)
    expected = np.linalg.lstsq(np.stack(unknowns, 1) * root[:, None], phase * root, rcond=None)[0]
    assert line.slope.item() == pytest.approx(expected[0], rel=1e-4)
    assert line.at(0.0).item() == pytest.approx(expected[1] if offset else 0, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("time_s", [9e-3, 25e-3])
def test_the_variance_is_that_of_what_repeated_fits_say_of_a_time(offset, time_s):
    weight = np.array([1.0, 0.7, 0.5, 0.3])
    noise = np.random.default_rng(0).normal(size=(4, 1, 1, 20000)) / np.sqrt(volume(*weight))
    weights = np.broadcast_to(volume(*weight), noise.shape)
    line = fit_line(noise.astype(np.float32), weights, TIMES_S, offset=offset)
    variance = np.broadcast_to(line.variance(time_s), line.slope.shape)
    assert line.at(time_s).var() == pytest.approx(variance.mean(), rel=0.05)


@pytest.mark.parametrize(("known", "offset", "constant"), [(1, False, 0), (2, True, 1.3)])
def test_later_echoes_follow_the_line_of_those_before_through_any_wraps(known, offset, constant):
    field_hz = np.linspace(-400, 400, 81).reshape(1, 1, 81)
    truth = constant + TURN * np.multiply.outer(TIMES_S, field_hz)
    phase = np.angle(np.exp(1j * truth)).astype(np.float32)
    phase[:known] = truth[:known]
    follow(phase, np.ones_like(phase), TIMES_S, known=known, offset=offset)
    np.testing.assert_allclose(phase, truth, atol=2e-4)


def trust(phase, power=None, limit=0.3, offset=False):
    power = np.ones_like(phase) if power is None else power
    return echo_trust(phase, power, TIMES_S, limit, offset=offset)


def lines(count=400):
    """Phases (echo, 1, 1, count) on lines through 0, and noise of 0.01 rad."""
    field_hz = np.linspace(-100, 100, count).reshape(1, 1, count)
    phase = TURN * np.multiply.outer(TIMES_S, field_hz)
    return (phase + np.random.default_rng(0).normal(scale=0.01, size=phase.shape)).astype("f4")


def test_echoes_on_a_line_are_trusted():
    assert trust(lines()).min() > 0.99


@pytest.mark.parametrize("offset", [False, True])
def test_an_echo_off_the_line_loses_trust_and_so_do_those_after_it(offset):
    phase = lines()
    phase[2, ..., 7] += 2
    got = trust(phase, offset=offset)[..., 0, 0, 7]
    assert got[:2].min() > 0.999
    assert got[2:].max() < 0.01


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.0, 0.5), (2.0, 1 / (1 + 0.5**4)), (0.5, 1 / 17)]
)
def test_trust_is_half_at_the_largest_misfit_and_falls_with_its_fourth_power(limit, expected):
    phase = 0 * lines()
    phase[3, ..., 7] = 1.0
    assert trust(phase, limit=limit)[3, 0, 0, 7] == pytest.approx(expected, rel=1e-3)


def test_what_noise_makes_likely_keeps_its_trust():
    noise = np.random.default_rng(0).normal(scale=0.4, size=(4, 10, 10, 40)).astype(np.float32)
    assert trust(noise).mean() > 0.9


def test_what_is_likely_in_dark_voxels_is_not_in_bright_ones():
    phase, power = lines(), np.ones((4, 1, 1, 400), np.float32)
    phase[3, ..., [7, 8, 9]] += 0.5
    power[:, ..., 8] = 1e-3  # a noise of 0.3 rad
    power[3, ..., 9] = 1e-3
    got = trust(phase, power)[3, 0, 0]
    assert got[7] < 0.2
    assert got[[8, 9]].min() > 0.8


def test_the_line_agrees_on_a_device(device):
    phase, power = lines(), np.random.default_rng(0).uniform(0.1, 1, (4, 1, 1, 400)).astype("f4")
    phase[2, ..., ::9] += 1
    got = echo_trust(device(phase), device(power), TIMES_S, 0.3, offset=True)
    np.testing.assert_allclose(got.get(), trust(phase, power, offset=True), atol=1e-4)
