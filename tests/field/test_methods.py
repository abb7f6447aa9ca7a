"""What every method of the field must do, from complex echoes to the field."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field import METHODS
from tests.analytic import OBLIQUE, ball, coordinates, distance, sphere_field

SHAPE, VOXEL = (25, 27, 29), (1.4, 1.0, 1.2)
TIMES_S, LARMOR_HZ = (4e-3, 9.1e-3, 14e-3, 22e-3), 123.25e6
NOISE = 0.01
INSIDE = ball(SHAPE, VOXEL, 13)
CORE = ball(SHAPE, VOXEL, 10)


def field_ppm():
    """A sphere of 1 ppm in a background of turns."""
    z, y, x = coordinates(SHAPE, VOXEL)
    background = 0.012 * (x**2 - y**2) + 0.07 * z
    return background + 0.5 * sphere_field(SHAPE, VOXEL, 3.0, OBLIQUE)


def echoes(field, times_s=TIMES_S, offset=0.0, noise=NOISE, around=0.0):
    rng = np.random.default_rng(0)
    times = np.reshape(times_s, (-1, 1, 1, 1))
    size = np.where(INSIDE, np.exp(-times / 0.03), around)
    signal = size * np.exp(1j * (2 * np.pi * LARMOR_HZ * 1e-6 * field * times + offset))
    added = rng.normal(scale=noise * np.sqrt(0.5), size=(2, *signal.shape))
    return (signal + added[0] + 1j * added[1]).astype(np.complex64)


def run(method, images, times_s=TIMES_S, **parameters):
    return METHODS[method](images, times_s, LARMOR_HZ, VOXEL, **parameters)


def error(method, fit, truth, where=CORE):
    """Error over a region, less its mean; of Laplacian unwrapping less what is harmonic."""
    away = (fit.total_field - truth)[where]
    if method == "laplacian":
        z, y, x = (axis[where] for axis in coordinates(SHAPE, VOXEL))
        linear = [np.ones_like(x), x, y, z]
        square = [x * y, y * z, z * x, x**2 - y**2, x**2 - z**2]
        cubic = [x * y * z, *(a * (b**2 - c**2) for a, b, c in ((x, y, z), (y, z, x), (z, x, y)))]
        cubic += [
            a * (2 * a**2 - 3 * b**2 - 3 * c**2) for a, b, c in ((x, y, z), (y, z, x), (z, x, y))
        ]
        basis = np.stack([*linear, *square, *cubic], axis=1)
        away = away - basis @ np.linalg.lstsq(basis, away, rcond=None)[0]
    return away - away.mean()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_field_comes_back_with_its_sign_through_wraps_and_uneven_echo_times(method, sign):
    truth = sign * field_ppm()
    assert np.ptp(truth[CORE]) * LARMOR_HZ * 1e-6 * TIMES_S[-1] > 4  # turns
    around = 1.0 if method == "laplacian" else 0.0
    fit = run(method, echoes(truth, around=around))
    assert np.abs(error(method, fit, truth)).max() < 0.006


@pytest.mark.parametrize("method", METHODS)
def test_the_predicted_noise_is_that_of_the_field(method):
    truth = 0.02 * coordinates(SHAPE, VOXEL)[2]
    fit = run(method, echoes(truth, around=1.0))
    spread = error(method, fit, truth).std()
    expected = np.median(fit.noise[CORE]) * NOISE
    assert spread == pytest.approx(expected, rel=0.1 if method != "laplacian" else 0.3)


@pytest.mark.parametrize(("method", "unknowns"), [("romeo", 1), ("nonlinear", 2), ("laplacian", 1)])
def test_the_residual_is_what_noise_leaves_of_the_phase(method, unknowns):
    fit = run(method, echoes(field_ppm()))
    power = np.exp(-2 * np.array(TIMES_S) / 0.03).sum()
    expected = NOISE * np.sqrt((len(TIMES_S) - unknowns) / 2 / power)
    assert np.sqrt((fit.residual[CORE] ** 2).mean()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_the_residual_of_noise_is_large(method):
    fit = run(method, echoes(field_ppm()))
    assert np.median(fit.residual[distance(SHAPE, VOXEL) > 15]) > 30 * NOISE


@pytest.mark.parametrize("method", METHODS)
def test_an_echo_that_leaves_the_line_has_little_say(method):
    images, voxel = echoes(field_ppm(), noise=1e-3), (12, 13, 17)
    before = run(method, images).total_field[voxel]
    images[(3, *voxel)] *= np.exp(2j)
    moved = run(method, images).total_field[voxel] - before
    assert abs(moved) < 0.05 * 2 / (2 * np.pi * LARMOR_HZ * 1e-6 * TIMES_S[3])


def test_what_an_echo_is_off_as_a_whole_is_no_field():
    images, truth = echoes(field_ppm()), field_ppm()
    images[1] *= np.exp(0.5j)
    fit = run("romeo", images)
    assert np.abs(error("romeo", fit, truth)).max() < 0.006
    assert np.median(fit.residual[CORE]) < 2 * NOISE


@pytest.mark.parametrize("method", METHODS)
def test_two_echoes_will_do(method):
    truth = 0.02 * coordinates(SHAPE, VOXEL)[1]
    fit = run(method, echoes(truth, TIMES_S[:2], around=1.0), TIMES_S[:2])
    assert error(method, fit, truth).std() < 0.01


@pytest.mark.parametrize(
    ("method", "parameters"), [("romeo", {}), ("laplacian", {}), ("nonlinear", {"offset": False})]
)
def test_one_echo_will_do_without_offset(method, parameters):
    truth = 0.02 * coordinates(SHAPE, VOXEL)[1]
    fit = run(method, echoes(truth, TIMES_S[:1], around=1.0), TIMES_S[:1], **parameters)
    assert error(method, fit, truth).std() < 0.005


@pytest.mark.parametrize("method", ["romeo", "nonlinear"])
def test_the_offset_of_one_echo_is_refused_with_what_to_do(method):
    with pytest.raises(ValueError, match="echo"):
        run(method, echoes(field_ppm(), TIMES_S[:1]), TIMES_S[:1], offset=True)


@pytest.mark.parametrize("method", METHODS)
def test_results_are_single_precision_whatever_has_no_signal(method):
    images = echoes(field_ppm(), noise=0)
    images[:, :, :, :4] = 0
    fit = run(method, images)
    for got in (fit.total_field, fit.noise, fit.residual):
        assert got.dtype == np.float32
        assert np.isfinite(got).all()


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_on_a_device(device, method):
    images = echoes(field_ppm(), around=0.2)
    got, expected = run(method, device(images)), run(method, images)
    for name in ("total_field", "noise", "residual"):
        wanted = getattr(expected, name)
        np.testing.assert_allclose(getattr(got, name).get(), wanted, rtol=1e-3, atol=1e-3)
