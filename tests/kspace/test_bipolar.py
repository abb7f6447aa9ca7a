from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.field.romeo import romeo
from gadgetron_qsm.kspace.bipolar import (
    OddEven,
    mirrored_echoes,
    odd_even_phase,
    remove_odd_even,
)
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre
from tests.analytic import OBLIQUE, ball, coordinates, sphere_field

VOXEL, LARMOR_HZ, SNR = (2.0, 2.0, 2.0), 123.2e6, 30
SHAPE = (20, 24, 26)
TE_S = (4e-3, 8e-3, 12e-3, 16e-3)
ALTERNATING = (False, True, False, True, False, True)
ONE_SAMPLE = 2 * np.pi  # of delay, forth and back, of a readout twice oversampled
TRUE = OddEven(0.6, (0.4, -0.8, 0.7 * ONE_SAMPLE), 0)


def field_hz(shape):
    """Field of a strong sphere and a gradient: it wraps several times until the last echo."""
    field = sphere_field(shape, VOXEL, 7, OBLIQUE, centre=(2, -4, 2))
    return 2e-6 * LARMOR_HZ * field + 3 * coordinates(shape, VOXEL)[1]


def monopolar(shape=SHAPE, times=TE_S, field=None, coils=4, snr=SNR):
    """Images (echo, coil, z, y, x) of a ball, seen by coils around it."""
    rng = np.random.default_rng(2)
    z, y, x = coordinates(shape, VOXEL)
    field = field_hz(shape) if field is None else field
    images = np.empty((len(times), coils, *shape), np.complex64)
    for coil, angle in enumerate(2 * np.pi * np.arange(coils) / coils):
        away = (y - 30 * np.cos(angle)) ** 2 + (x - 30 * np.sin(angle)) ** 2
        sensitivity = np.exp(-away / 3000 + 1j * (angle + 0.03 * y - 0.02 * z + 0.0005 * x * y))
        for echo, te in enumerate(times):
            decay = np.exp((2j * np.pi * field - 25) * te)
            images[echo, coil] = ball(shape, VOXEL, 20) * sensitivity * decay
    noise = rng.standard_normal((*images.shape, 2)) @ [1, 1j] / np.sqrt(2)
    return (images + noise * np.abs(images[0]).max() / snr).astype(np.complex64)


def plane(odd_even, shape):
    voxels = [(np.arange(n) - n // 2) / n for n in shape]
    z, y, x = np.meshgrid(*voxels, indexing="ij")
    slope = odd_even.slope_rad
    return odd_even.constant_rad + slope[0] * z + slope[1] * y + slope[2] * x


def bipolar(images, true=TRUE, backwards=ALTERNATING):
    """The same images, those read backwards ahead of the others by the phase `true`."""
    ahead = np.exp(1j * plane(true, images.shape[2:]) / 2)
    sign = [ahead if back else ahead.conj() for back in backwards[: len(images)]]
    return (images * np.array(sign)[:, None]).astype(np.complex64)


def estimate(images, times=TE_S, backwards=ALTERNATING):
    return odd_even_phase(images, times, backwards[: len(images)])


def largest_error(found, true, shape=SHAPE):
    """Largest error (rad) of the phase in the ball."""
    off = plane(found, shape) - plane(true, shape)
    return np.abs(off[ball(shape, VOXEL, 20)]).max()


@pytest.mark.parametrize("shape", [SHAPE, (21, 25, 27)], ids=["even", "odd"])
@pytest.mark.parametrize("echoes", [3, 4, 6])
def test_the_phase_is_found(shape, echoes):
    times = 4e-3 * np.arange(1, echoes + 1)
    images = bipolar(monopolar(shape, times))
    assert largest_error(estimate(images, times), TRUE, shape) < 0.02


@pytest.mark.parametrize("samples", [-0.7, -0.1, 0, 0.4, 0.7])
def test_a_delay_of_the_readout_gradient_is_found(samples):
    true = OddEven(0, (0, 0, samples * ONE_SAMPLE), 0)
    found = estimate(bipolar(monopolar(), true))
    assert found.slope_rad[2] / ONE_SAMPLE == pytest.approx(samples, abs=0.01)
    assert largest_error(found, true) < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("slope", [-24, 1, 24])
def test_slopes_along_each_axis_are_found_steep_ones_too(axis, slope):
    slopes = np.zeros(3)
    slopes[axis] = slope
    true = OddEven(0, tuple(slopes), 0)
    found = estimate(bipolar(monopolar(), true))
    np.testing.assert_allclose(found.slope_rad, slopes, atol=0.04)


@pytest.mark.parametrize("constant", [-1.4, -0.3, 0, 1.4])
def test_the_constant_is_found(constant):
    found = estimate(bipolar(monopolar(), OddEven(constant, (0.4, 0, 0), 0)))
    assert found.constant_rad == pytest.approx(constant, abs=0.01)


@pytest.mark.parametrize("constant", [2.0, -2.5, np.pi])
def test_a_constant_beyond_a_quarter_turn_comes_back_less_half_a_turn(constant):
    found = estimate(bipolar(monopolar(), OddEven(constant, (0.4, 0, 0), 0)))
    half_turns = np.round(constant / np.pi)
    assert found.constant_rad == pytest.approx(constant - np.pi * half_turns, abs=0.01)


@pytest.mark.parametrize("strength", [0, 1, -4])
def test_the_number_of_wraps_does_not_matter(strength):
    images = bipolar(monopolar(field=strength * field_hz(SHAPE)))
    assert largest_error(estimate(images), TRUE) < 0.02


@pytest.mark.parametrize(
    ("times", "backwards"),
    [
        ((3e-3, 8e-3, 11e-3), (False, True, False)),
        ((3e-3, 8e-3, 11e-3, 16e-3), (True, False, True, False)),
        ((4e-3, 8e-3, 12e-3, 16e-3), (False, True, True, False)),
        ((4e-3, 8e-3, 12e-3, 16e-3), (False, False, True, False)),
    ],
)
def test_uneven_echoes_and_other_orders_give_it_too(times, backwards):
    images = bipolar(monopolar(times=times), TRUE, backwards)
    assert largest_error(estimate(images, times, backwards), TRUE) < 0.03


@pytest.mark.parametrize("offset_hz", [-110, 110])
def test_a_centre_frequency_far_off_leaves_the_smallest_constant_of_uneven_echoes(offset_hz):
    times = (3e-3, 8e-3, 11e-3)
    images = bipolar(monopolar(times=times, field=field_hz(SHAPE) + offset_hz))
    assert largest_error(estimate(images, times), TRUE) < 0.03


@pytest.mark.parametrize("times", [TE_S, (3e-3, 8e-3, 11e-3)], ids=["even", "uneven"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_images_does_not_matter(scale, times):
    images = bipolar(monopolar(times=times))
    assert largest_error(estimate(np.float32(scale) * images, times), TRUE) < 0.03


def test_the_centre_of_k_space_gives_the_same():
    kspace = centred_fft(bipolar(monopolar()), axes=[2, 3, 4])
    for axis, n in enumerate((12, 15, 16), start=2):
        kspace = crop_centre(kspace, n, axis)
    found = estimate(centred_ifft(kspace, axes=[2, 3, 4]))
    assert largest_error(found, TRUE) < 0.05


def test_echo_times_as_rounded_in_a_header_count_as_even():
    times = (4.92e-3, 9.84e-3, 14.8e-3)
    true = OddEven(1.3, (0, 0, 0.5), 0)
    assert largest_error(estimate(bipolar(monopolar(times=times), true), times), true) < 0.03


def test_flow_and_bright_spots_do_not_draw_it_along():
    images = bipolar(monopolar())
    vessel = np.abs(coordinates(SHAPE, VOXEL)[2] - 8) < 3  # 11 % of the ball
    images[1][:, vessel] *= np.exp(0.8j)
    images[:, :, 8:11, 10:13, 10:13] *= 4
    images[1, :, 8:11, 10:13, 10:13] *= np.exp(-0.8j)
    assert largest_error(estimate(images), TRUE) < 0.05


def test_phase_that_bends_in_time_cancels_between_echoes_of_either_direction():
    times = 4e-3 * np.arange(1, 7)
    images = monopolar(times=times)
    bent = images * np.exp(0.1j * np.arange(6) ** 2).reshape(6, 1, 1, 1, 1)
    assert largest_error(estimate(bipolar(bent), times), TRUE) < 0.03


@pytest.mark.parametrize("times", [(4e-3, 8e-3, 12e-3), (3e-3, 8e-3, 11e-3)])
def test_the_residual_is_what_a_plane_does_not_explain(times):
    checkered = 0.1 * (-1) ** np.indices(SHAPE).sum(axis=0)
    images = bipolar(monopolar(times=times, field=np.zeros(SHAPE), snr=3000))
    images[1] *= np.exp(1j * checkered)
    assert estimate(images, times).residual_rad == pytest.approx(0.1, rel=0.02)


def test_what_is_removed_is_what_was_added():
    clean = monopolar(snr=300)
    images = bipolar(clean)
    remove_odd_even(images, TRUE, ALTERNATING[: len(TE_S)])
    np.testing.assert_allclose(images, clean, atol=1e-5)


def field_ppm(images):
    combined = mcpc3ds(images, TE_S, VOXEL)
    phase = romeo(np.angle(combined), np.abs(combined), TE_S)
    return weighted_echo_fit(phase, np.abs(combined), TE_S, LARMOR_HZ).total_field


@pytest.mark.parametrize("delay", [-0.7, 0.7])
def test_the_field_is_that_of_monopolar_readouts_afterwards(delay):
    clean, inside = monopolar(), ball(SHAPE, VOXEL, 17)
    images = bipolar(clean, OddEven(0.6, (0.4, -0.8, delay * ONE_SAMPLE), 0))
    before = field_ppm(images)
    remove_odd_even(images, estimate(images), ALTERNATING[: len(TE_S)])
    after, expected = field_ppm(images), field_ppm(clean)
    left, right = (
        100 * np.linalg.norm((field - expected)[inside]) / np.linalg.norm(expected[inside])
        for field in (before, after)
    )
    print(f"delay of {delay} samples: field off by {left:.0f} %, corrected {right:.2f} % NRMSE")
    assert left > 20
    assert right < 5


def test_a_single_slice_has_no_slope_across():
    shape = (1, 40, 42)
    true = OddEven(0.4, (0, 0.8, -2), 0)
    found = estimate(bipolar(monopolar(shape), true))
    assert found.slope_rad[0] == pytest.approx(0, abs=1e-12)
    assert largest_error(found, true, shape) < 0.02


@pytest.mark.parametrize(
    "backwards",
    [(False, True), (False, False, True), (False, False, False, False), (True, True, False)],
)
def test_echoes_that_do_not_enclose_one_of_the_other_direction_are_refused(backwards):
    images = np.ones((len(backwards), 1, 4, 4, 4), np.complex64)
    with pytest.raises(ValueError, match="cannot be told from the field"):
        odd_even_phase(images, 4e-3 * np.arange(1, 1 + len(backwards)), backwards)


def test_images_without_signal_are_refused():
    with pytest.raises(ValueError, match="no signal"):
        estimate(np.zeros((4, 1, 4, 4, 4), np.complex64))


@pytest.mark.parametrize("nx", [16, 17])
def test_echoes_that_were_not_turned_are_found(nx):
    rng = np.random.default_rng(3)
    coils = np.linspace(0.2, 1, nx) ** np.arange(3)[:, None, None, None]  # they see one side more
    still = (coils * rng.uniform(1, 1.3, (4, 3, 5, 6, nx))).astype(np.complex64)
    assert mirrored_echoes(still) == []
    shift = 1 - nx % 2
    still[1::2] = np.roll(still[1::2, ..., ::-1], shift, axis=-1)
    assert mirrored_echoes(still) == [1, 3]
