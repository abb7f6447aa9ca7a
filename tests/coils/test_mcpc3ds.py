from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
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


def phase_error(combined, field_hz, te):
    """Phase (rad) beyond 2 pi f TE, in the object's inside."""
    return np.angle(combined * np.exp(-2j * np.pi * field_hz * te))[CORE]


@pytest.mark.parametrize("coils", [COILS, COILS[:1], COILS[2:]], ids=["four", "one", "two"])
@pytest.mark.parametrize("field_hz", [40 + 0 * X, WRAPPING], ids=["constant", "wrapping"])
def test_the_combined_phase_is_that_of_the_field_from_0_at_te_0(coils, field_hz):
    combined = mcpc3ds(coil_images(field_hz, coils), ECHO_TIMES_S, VOXEL)
    for image, te in zip(combined, ECHO_TIMES_S, strict=True):
        assert np.abs(phase_error(image, field_hz, te)).max() < 0.08


def test_the_phase_is_right_when_the_first_echo_is_no_multiple_of_the_spacing():
    echo_times_s = (7.3e-3, 9.6e-3, 11.9e-3)
    images = coil_images(WRAPPING, echo_times_s=echo_times_s)
    combined = mcpc3ds(images, echo_times_s, VOXEL)
    for image, te in zip(combined, echo_times_s, strict=True):
        assert np.abs(phase_error(image, WRAPPING, te)).max() < 0.08


def test_a_centre_frequency_far_off_comes_back_less_one_turn_an_echo_spacing():
    field_hz = 170 + X
    combined = mcpc3ds(coil_images(field_hz), ECHO_TIMES_S, VOXEL)
    seen_hz = field_hz - 1 / (ECHO_TIMES_S[1] - ECHO_TIMES_S[0])
    for image, te in zip(combined, ECHO_TIMES_S, strict=True):
        assert np.abs(phase_error(image, seen_hz, te)).max() < 0.08


@pytest.mark.parametrize("offset_hz", [170, -230])
@pytest.mark.parametrize("echo_times_s", [(3e-3, 8e-3, 11e-3), (4e-3, 9e-3, 16e-3, 23e-3)])
def test_echoes_of_uneven_spacing_tell_a_centre_frequency_far_off(echo_times_s, offset_hz):
    field_hz = offset_hz + X
    combined = mcpc3ds(coil_images(field_hz, echo_times_s=echo_times_s), echo_times_s, VOXEL)
    for image, te in zip(combined, echo_times_s, strict=True):
        assert np.abs(phase_error(image, field_hz, te)).max() < 0.08


def test_the_magnitude_is_the_root_of_the_sum_of_squares():
    images = coil_images(WRAPPING)
    combined = mcpc3ds(images, ECHO_TIMES_S, VOXEL)
    expected = np.sqrt((np.abs(images) ** 2).sum(axis=1))
    np.testing.assert_allclose(np.abs(combined)[:, CORE], expected[:, CORE], rtol=0.01)


def test_where_there_is_no_signal_there_is_nothing():
    images = np.zeros((2, 2, 5, 6, 7), np.complex64)
    np.testing.assert_array_equal(mcpc3ds(images, (4e-3, 9e-3), VOXEL), 0)


def test_white_noise_of_the_coils_keeps_unit_variance_which_is_the_best_combination():
    rng = np.random.default_rng(0)
    images = 40 * coil_images(WRAPPING)
    noise = rng.normal(scale=np.sqrt(0.5), size=(2, *images.shape)).astype(np.float32)
    noisy = mcpc3ds(images + noise[0] + 1j * noise[1], ECHO_TIMES_S, VOXEL)
    clean = mcpc3ds(images, ECHO_TIMES_S, VOXEL)
    error = (noisy - clean)[2, CORE]  # the sensitivities' own noise is that of the first echo
    assert np.sqrt((np.abs(error) ** 2).mean()) == pytest.approx(1, rel=0.05)


def test_sensitivities_are_smoothed_by_as_many_mm_along_every_axis():
    voxel_size = (3.0, 1.0, 1.0)
    z, _, x = coordinates((31, 5, 61), voxel_size)
    images = np.exp(0.15j * np.stack([z, x])).astype(np.complex64)  # steep along z, along x
    combined = mcpc3ds(np.stack([images, images]), (4e-3, 9e-3), voxel_size)
    inside = np.abs(combined)[:, 13:18, :, 25:36]
    np.testing.assert_allclose(inside, np.sqrt(2), rtol=2e-3)  # unequal weights give less


@pytest.mark.parametrize("smoothing_mm", [2.0, 4.0, 8.0])
def test_a_steep_offset_loses_weight_as_a_gaussian_of_that_width_has_it(smoothing_mm):
    _, _, x = coordinates((5, 5, 101), (1.0, 1.0, 1.0))
    images = np.exp(1j * np.stack([0.2 * x, 0 * x])).astype(np.complex64)
    combined = mcpc3ds(
        np.stack([images, images]), (4e-3, 9e-3), (1.0, 1.0, 1.0), smoothing_mm=smoothing_mm
    )
    weight = np.exp(-((0.2 * smoothing_mm) ** 2) / 2)
    expected = (weight + 1) / np.sqrt(weight**2 + 1)
    np.testing.assert_allclose(np.abs(combined)[..., 50], expected, rtol=2e-3)


def test_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes"):
        mcpc3ds(coil_images(WRAPPING)[:1], ECHO_TIMES_S[:1], VOXEL)
