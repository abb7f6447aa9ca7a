from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.field.laplacian import laplacian
from tests.analytic import ball, coordinates


def wrap(phase):
    return np.angle(np.exp(1j * phase)).astype(np.float32)


def many_turns(shape, voxel_size):
    z, y, x = coordinates(shape, voxel_size)
    phase = 0.05 * x**2 - 0.03 * y**2 + 0.02 * x * z + 0.8 * z
    return phase - phase.mean()


@pytest.mark.parametrize("shape", [(16, 18, 20), (15, 17, 21), (1, 30, 31)])
@pytest.mark.parametrize("voxel_size", [(1, 1, 1), (2.5, 0.7, 1.2)])
def test_a_phase_of_many_turns_comes_back_but_for_its_mean(shape, voxel_size):
    truth = many_turns(shape, voxel_size) * 0.8
    assert np.ptp(truth) > 2 * np.pi
    unwrapped = laplacian(wrap(truth + 2), voxel_size)
    np.testing.assert_allclose(unwrapped, truth, atol=2e-4)


def test_every_echo_is_unwrapped_by_itself():
    truth = many_turns((9, 10, 11), (1, 1, 1))
    echoes = np.stack([truth, 1.5 * truth])
    np.testing.assert_allclose(laplacian(wrap(echoes), (1, 1, 1)), echoes, atol=2e-4)


def interior_laplacian(field, voxel_size):
    inner = (slice(1, -1),) * 3
    total = np.zeros(field[inner].shape)
    for axis, size in enumerate(voxel_size):
        sides = [np.roll(field, shift, axis)[inner] for shift in (-1, 1)]
        total += (sides[0] + sides[1] - 2 * field[inner]) / size**2
    return total


def test_noise_around_an_object_spoils_it_by_a_harmonic_phase_only():
    shape, voxel_size = (25, 26, 27), (1.5, 1.0, 1.2)
    rng, inside = np.random.default_rng(0), ball((25, 26, 27), (1.5, 1.0, 1.2), 10)
    truth = many_turns(shape, voxel_size) * 0.5
    phase = np.where(inside, wrap(truth), rng.uniform(-np.pi, np.pi, shape))
    error = laplacian(phase, voxel_size) - truth
    deep = ball(shape, voxel_size, 8)[1:-1, 1:-1, 1:-1]
    assert np.std(error[ball(shape, voxel_size, 8)]) > 0.1
    np.testing.assert_allclose(interior_laplacian(error, voxel_size)[deep], 0, atol=2e-3)


def test_it_takes_one_transform_there_and_one_back(monkeypatch):
    calls = []
    for name in ("dctn", "idctn"):
        own = getattr(scipy.fft, name)
        monkeypatch.setattr(
            scipy.fft, name, lambda x, name=name, own=own: calls.append(name) or own(x)
        )
    laplacian(wrap(many_turns((6, 7, 8), (1, 1, 1))), (1, 1, 1))
    assert calls == ["dctn", "idctn"]


def test_the_result_is_of_single_precision_and_mean_0():
    unwrapped = laplacian(np.random.default_rng(0).uniform(-3, 3, (7, 8, 9)), (1, 1, 2))
    assert unwrapped.dtype == np.float32
    assert abs(unwrapped.mean()) < 1e-5


def test_laplacian_agrees_on_a_device(device):
    phase = wrap(many_turns((9, 10, 11), (1, 2, 1)))
    got = laplacian(device(phase), (1, 2, 1))
    np.testing.assert_allclose(got.get(), laplacian(phase, (1, 2, 1)), atol=1e-4)
