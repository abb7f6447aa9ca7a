from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.phantom.coils import loop_coils, noise_covariance

FOV_MM = (196.0, 216.0, 176.0)


def maps(count, matrix, seed=0):
    sensitivities = loop_coils(count, FOV_MM, np.random.default_rng(seed)).on(matrix)
    return np.array([sensitivities.slab(coil, slice(None)) for coil in range(count)])


@pytest.mark.parametrize("count", [1, 2, 8, 64])
def test_coils_together_see_the_whole_field_of_view(count):
    together = np.linalg.norm(maps(count, (28, 30, 26)), axis=0)
    assert together[14, 15, 13] == pytest.approx(1, abs=0.1)
    assert together.min() > 0.1


def test_sensitivities_are_smooth_and_of_varying_magnitude_and_phase():
    sensitivity = maps(8, (56, 60, 52))
    loudest = np.abs(sensitivity).max(axis=(1, 2, 3))
    for axis in (1, 2, 3):
        steps = np.abs(np.diff(sensitivity, axis=axis)).max(axis=(1, 2, 3))
        assert (steps < 0.15 * loudest).all()
    assert (np.abs(sensitivity).min(axis=(1, 2, 3)) < 0.2 * loudest).all()
    phase = np.angle(sensitivity * sensitivity[:, 28:29, 30:31, 26:27].conj())
    assert (phase.std(axis=(1, 2, 3)) > 0.2).all()


def test_coils_differ_from_one_another():
    sensitivity = maps(16, (14, 14, 14)).reshape(16, -1)
    sensitivity /= np.linalg.norm(sensitivity, axis=1, keepdims=True)
    likeness = np.abs(sensitivity @ sensitivity.conj().T)
    assert likeness[~np.eye(16, dtype=bool)].max() < 0.9


def test_a_coarse_and_a_fine_grid_show_the_same_sensitivity_at_the_same_place():
    coarse, fine = maps(2, (9, 10, 8)), maps(2, (27, 30, 24))
    np.testing.assert_allclose(fine[:, 1::3, ::3, ::3], coarse, atol=1e-4)


@pytest.mark.parametrize("count", [1, 8, 64])
def test_noise_is_correlated_with_mean_variance_1(count):
    covariance = noise_covariance(count, np.random.default_rng(0))
    np.testing.assert_allclose(covariance, covariance.conj().T)
    assert np.trace(covariance).real == pytest.approx(count)
    assert np.linalg.eigvalsh(covariance).min() > 0.05
    if count > 1:
        assert np.abs(np.triu(covariance, 1)).max() > 0.1
        assert np.ptp(np.diag(covariance).real) > 0.2
