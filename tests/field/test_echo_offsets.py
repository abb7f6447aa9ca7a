from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.echo_offsets import echo_offsets

TIMES_S = (4e-3, 9e-3, 14e-3, 19e-3)


def scan(offsets, r2star_spread=20.0):
    """Phase and magnitude (echo, z, y, x) of unlike fields and decays, with noise."""
    rng = np.random.default_rng(0)
    field_hz, rate = (
        rng.normal(scale=30, size=(6, 7, 80)),
        20 + r2star_spread * rng.random((6, 7, 80)),
    )
    times = np.reshape(TIMES_S, (-1, 1, 1, 1))
    phase = 2 * np.pi * field_hz * times + np.reshape(offsets, times.shape)
    noise = rng.normal(scale=0.02, size=phase.shape)
    return (phase + noise).astype(np.float32), np.exp(-rate * times).astype(np.float32)


def explained(offsets, offset):
    """What of the offsets a field, and a phase at TE = 0, would explain: anything of these."""
    unknowns = np.stack([np.array(TIMES_S), np.ones(4)][: 1 + offset], axis=1)
    return np.linalg.lstsq(unknowns, np.array(offsets), rcond=None)[1].item() ** 0.5


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("offsets", [(0, 0.4, 0, 0.4), (0.1, -0.3, 0.5, 0)])
def test_less_its_offsets_a_scan_is_a_field(offsets, offset):
    found = echo_offsets(*scan(offsets), TIMES_S, offset=offset)
    assert explained(offsets, offset) > 0.2
    assert explained(np.array(offsets) - found, offset) < 0.01


def test_voxels_of_very_unlike_decay_find_the_same_offsets():
    found = echo_offsets(*scan((0, 0.4, 0, 0.4), r2star_spread=200), TIMES_S)
    assert explained(np.array([0, 0.4, 0, 0.4]) - found, offset=False) < 0.01


def test_what_grows_as_the_echo_time_is_a_field_and_stays():
    offsets = [100 * time_s for time_s in TIMES_S]
    np.testing.assert_allclose(echo_offsets(*scan(offsets), TIMES_S), 0, atol=0.01)


def test_a_few_voxels_that_bend_have_no_say():
    phase, magnitude = scan((0, 0, 0, 0))
    phase[3, :, :, :8] += 3
    np.testing.assert_allclose(echo_offsets(phase, magnitude, TIMES_S), 0, atol=0.01)


def test_dark_voxels_have_no_say():
    phase, magnitude = scan((0, 0.4, 0, 0.4))
    phase[1, ..., :50] += 3
    magnitude[..., :50] *= 0.02
    found = echo_offsets(phase, magnitude, TIMES_S)
    assert explained(np.array([0, 0.4, 0, 0.4]) - found, offset=False) < 0.02


@pytest.mark.parametrize(("echoes", "offset"), [(1, False), (2, True)])
def test_echoes_that_a_line_always_explains_have_none(echoes, offset):
    phase, magnitude = (x[:echoes] for x in scan((1, 2, 3, 4)))
    assert echo_offsets(phase, magnitude, TIMES_S[:echoes], offset=offset) == [0] * echoes


def test_no_signal_has_none():
    phase, magnitude = scan((1, 0, 1, 0))
    assert echo_offsets(phase, 0 * magnitude, TIMES_S) == [0] * 4


def test_offsets_agree_on_a_device(device):
    phase, magnitude = scan((0, 0.4, 0, 0.4))
    got = echo_offsets(device(phase), device(magnitude), TIMES_S)
    np.testing.assert_allclose(got, echo_offsets(phase, magnitude, TIMES_S), atol=1e-5)
