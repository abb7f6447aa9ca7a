from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest

from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.coils.roemer import roemer
from tests.analytic import ball, coordinates

SHAPE, VOXEL = (21, 24, 27), (2.0, 2.0, 2.0)
Z, Y, X = coordinates(SHAPE, VOXEL)
OBJECT, CORE = ball(SHAPE, VOXEL, 20), ball(SHAPE, VOXEL, 14)
ECHO_TIMES_S = (4e-3, 9e-3, 14e-3)
WRAPPING = 0.6 * (X**2 - Y**2) + 2 * Z  # Hz, from -200 to 200
COILS = [  # place (z, y, x) in mm, phase offset in rad
    ((24, 0, 0), 0.4 + 0.03 * X),
    ((-24, 0, 0), -1.7 + 0.02 * Y - 0.02 * Z),
    ((0, 24, 0), 2.5 - 0.0005 * X * Y),
    ((0, 0, -24), 1.0 + 0.03 * Z + 0.0006 * Y**2),
]


def coil_images(field_hz, coils=COILS, echo_times_s=ECHO_TIMES_S):
    """Images (echo, coil, z, y, x) of a ball that decays with 40 ms."""
    images = np.empty((len(echo_times_s), len(coils), *SHAPE), np.complex64)
    for coil, (place, offset) in enumerate(coils):
        away = sum((axis - at) ** 2 for axis, at in zip((Z, Y, X), place, strict=True))
        for echo, te in enumerate(echo_times_s):
            phase = offset + 2 * np.pi * field_hz * te
            images[echo, coil] = OBJECT * np.exp(1j * phase - te / 0.04) / (1 + away / 900)
    return images


def combine(images, echo_times_s=ECHO_TIMES_S, **options):
    return roemer(images, mcpc3ds(images, echo_times_s, VOXEL, **options))


def largest_error(combined, field_hz, echo_times_s=ECHO_TIMES_S, where=OBJECT):
    """Largest phase (rad) beyond 2 pi f TE in any echo."""
    times = np.reshape(echo_times_s, (-1, 1, 1, 1))
    return np.abs(np.angle(combined * np.exp(-2j * np.pi * field_hz * times)))[:, where].max()


@pytest.mark.parametrize("coils", [COILS, COILS[:1], COILS[2:]], ids=["four", "one", "two"])
@pytest.mark.parametrize("field_hz", [40 + 0 * X, WRAPPING], ids=["constant", "wrapping"])
def test_the_combined_phase_is_that_of_the_field_from_0_at_te_0(coils, field_hz):
    combined = combine(coil_images(field_hz, coils))
    assert largest_error(combined, field_hz, where=CORE) < 0.03
    assert largest_error(combined, field_hz) < 0.08  # the rim, too


@pytest.mark.parametrize("echoes", [2, 3, 4, 5])
def test_any_number_of_echoes_will_do(echoes):
    echo_times_s = 4e-3 + 5e-3 * np.arange(echoes)
    combined = combine(coil_images(WRAPPING, echo_times_s=echo_times_s), echo_times_s)
    assert largest_error(combined, WRAPPING, echo_times_s) < 0.08


@pytest.mark.parametrize(
    "echo_times_s",
    [(7.3e-3, 9.6e-3, 11.9e-3), (5e-3, 10e-3, 15e-3), (5e-3, 10.02e-3), (6e-3, 9e-3)],
    ids=["no multiple of the spacing", "TE2 = 2 TE1", "nearly", "TE1 = 2 spacings"],
)
def test_the_phase_is_right_for_any_first_echo_time(echo_times_s):
    combined = combine(coil_images(WRAPPING, echo_times_s=echo_times_s), echo_times_s)
    assert largest_error(combined, WRAPPING, echo_times_s) < 0.08


def test_twice_the_first_echo_time_needs_no_unwrapping_and_gives_the_same(monkeypatch):
    module = sys.modules[mcpc3ds.__module__]
    images = coil_images(WRAPPING, echo_times_s=(5e-3, 10e-3))
    with monkeypatch.context() as patch:
        patch.setattr(module, "WHOLE", 0.0)
        unwrapped = mcpc3ds(images, (5e-3, 10e-3), VOXEL)
    monkeypatch.delattr(module, "romeo")
    np.testing.assert_allclose(mcpc3ds(images, (5e-3, 10e-3), VOXEL), unwrapped, atol=1e-4)


def test_thick_voxels_are_unwrapped_one_by_one():
    field_hz = 28 * X  # 0.28 turns from voxel to voxel between the echoes
    images = coil_images(field_hz, COILS[:1])
    combined = roemer(images, mcpc3ds(images, ECHO_TIMES_S, (2.0, 2.0, 5.0)))
    assert largest_error(combined, field_hz, where=CORE) < 0.1


def test_a_centre_frequency_far_off_comes_back_less_one_turn_an_echo_spacing():
    combined = combine(coil_images(170 + X))
    seen_hz = 170 + X - 1 / (ECHO_TIMES_S[1] - ECHO_TIMES_S[0])
    assert largest_error(combined, seen_hz) < 0.08


@pytest.mark.parametrize("offset_hz", [170, -230])
@pytest.mark.parametrize("echo_times_s", [(3e-3, 8e-3, 11e-3), (4e-3, 9e-3, 16e-3, 23e-3)])
def test_echoes_of_uneven_spacing_tell_a_centre_frequency_far_off(echo_times_s, offset_hz):
    field_hz = offset_hz + X
    combined = combine(coil_images(field_hz, echo_times_s=echo_times_s), echo_times_s)
    assert largest_error(combined, field_hz, echo_times_s) < 0.08


def test_a_few_planes_of_many_tell_a_centre_frequency_far_off(monkeypatch):
    monkeypatch.setattr(sys.modules[mcpc3ds.__module__], "MOST_PLANES", 4)
    field_hz, echo_times_s = 170 + 6 * Z, (3e-3, 8e-3, 11e-3)
    combined = combine(coil_images(field_hz, echo_times_s=echo_times_s), echo_times_s)
    assert largest_error(combined, field_hz, echo_times_s) < 0.08


def test_steep_fields_are_followed_though_they_are_unwrapped_in_blocks():
    field_hz = 22 * X + 0.4 * Y**2  # 0.2 turns from voxel to voxel between the echoes
    assert largest_error(combine(coil_images(field_hz)), field_hz) < 0.08


def test_where_there_is_no_signal_there_is_nothing():
    images = np.zeros((2, 2, 5, 6, 7), np.complex64)
    np.testing.assert_array_equal(mcpc3ds(images, (4e-3, 9e-3), VOXEL), 0)


def test_white_noise_of_the_coils_keeps_unit_variance_which_is_the_best_combination():
    rng = np.random.default_rng(0)
    images = 40 * coil_images(WRAPPING)
    noise = rng.normal(scale=np.sqrt(0.5), size=(2, *images.shape)).astype(np.float32)
    noisy = combine(images + noise[0] + 1j * noise[1])
    error = (noisy - combine(images))[2, CORE]  # the sensitivities' noise is the first echoes'
    assert np.sqrt((np.abs(error) ** 2).mean()) == pytest.approx(1, rel=0.05)


def test_the_magnitude_is_the_root_of_the_sum_of_squares():
    images = coil_images(WRAPPING)
    expected = np.sqrt((np.abs(images) ** 2).sum(axis=1))
    np.testing.assert_allclose(np.abs(combine(images))[:, CORE], expected[:, CORE], rtol=0.01)


def test_64_coils_need_little_more_memory_than_their_sensitivities():
    images = np.broadcast_to(coil_images(WRAPPING, COILS[:1], (4e-3, 9e-3)), (2, 64, *SHAPE))
    mcpc3ds(images[:, :1], (4e-3, 9e-3), VOXEL)  # compiles
    tracemalloc.start()
    sensitivities = mcpc3ds(images, (4e-3, 9e-3), VOXEL)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - sensitivities.nbytes < 0.2 * sensitivities.nbytes


def test_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes"):
        mcpc3ds(coil_images(WRAPPING)[:1], ECHO_TIMES_S[:1], VOXEL)


def test_an_island_behind_a_dark_gap_has_the_offset_of_its_surroundings():
    """Its field turns the phase by 0.7 turns between echoes, which unwrapping takes for -0.3."""
    shape, times_s = (20, 24, 40), (4.5e-3, 9.8e-3, 15.1e-3)
    z, _, x = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    island = (x >= 8) & (x < 11)
    seen = (np.abs(x + 6) < 13) | island
    coils = np.stack([np.exp(0.3j + 0.02j * x), 0.5 * np.exp(-1j + 0.03j * z)])
    turns = np.where(island, 130.0, 0.0) * np.array(times_s)[:, None, None, None]
    images = (seen * coils * np.exp(2j * np.pi * turns)[:, None]).astype(np.complex64)
    sensitivities = mcpc3ds(images, times_s, (2, 2, 2))
    offset = sensitivities * coils.conj()
    rim = (x >= 3) & (x < 11) & seen & (np.abs(z) < 7)
    off = np.angle(offset[:, rim] / offset[:, 10, 12, 14, None])
    assert np.abs(off).max() < 0.1
