from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.grid import dipole_kernel, from_half_spectra, half_spectra, of_real_fields
from gadgetron_qsm.inversion.admm import FIT, RELAXATION
from gadgetron_qsm.inversion.gradient import squared_spectrum
from gadgetron_qsm.inversion.ss_tv_steps import Filtered, settle, solve, step
from tests.analytic import OBLIQUE

SHAPE, SIDES, RADII, LIMIT, SMOOTH = (6, 8, 10), (1.0, 1.5, 1.2), 3, np.float32(0.02), 0.004
RNG = np.random.default_rng(0)
VOXELS = int(np.prod(SHAPE))
# each voxel belongs to one radius, or to none
OWNER = RNG.integers(0, RADII + 1, VOXELS)
PLACES = [np.flatnonzero(n == OWNER) for n in range(RADII)]
BOW = np.concatenate([np.full(p.size, 1.0 + n, np.float32) for n, p in enumerate(PLACES)])
AT = np.concatenate([p + n * VOXELS for n, p in enumerate(PLACES)]).astype(np.int32)
FIELD = 0.1 * RNG.standard_normal(AT.size).astype(np.float32)
FIDELITY = RNG.uniform(0.1, 1, AT.size).astype(np.float32)
DIPOLE = of_real_fields(dipole_kernel(SHAPE, SIDES, OBLIQUE, like=FIELD), SHAPE[2])
KERNELS = np.stack([DIPOLE * np.float32(s) for s in (1.0, 0.7, 0.4)])
COST = (SMOOTH * squared_spectrum(SHAPE, (1.0, 1.0, 1.0), like=FIELD)).astype(np.float32)
COST[0, 0, 0] = 1


def filtered(put):
    given = (put(x) for x in (KERNELS, AT, FIELD, FIDELITY, BOW))
    return Filtered.of(*given)


@pytest.fixture(params=["host", "device"])
def put(request, device):
    """A function that leaves arrays on the host, or moves them to the device."""
    return np.copy if request.param == "host" else device


def test_a_step_goes_to_the_data_by_its_fidelity_without_a_bow_and_not_too_far(put):
    off = 0.1 * RNG.standard_normal(AT.size).astype(np.float32)
    steps = put(np.zeros((RADII, *SHAPE), np.float32))
    step(filtered(put), put(off), LIMIT, steps)
    trust = FIDELITY / (FIDELITY + FIT)
    bend = (BOW * trust * off).sum() / (BOW**2 * trust).sum()
    reach = LIMIT / FIT * FIDELITY
    expected = np.zeros(RADII * VOXELS)
    expected[AT] = np.clip(trust * (off - bend * BOW), -reach, reach)
    assert 0.1 < (np.abs(np.abs(expected[AT]) - reach) < 1e-8).mean() < 0.9
    np.testing.assert_allclose(to_numpy(steps).ravel(), expected, atol=1e-7)


def test_a_bow_common_to_all_misfits_asks_for_no_step(put):
    steps = put(np.zeros((RADII, *SHAPE), np.float32))
    step(filtered(put), put(0.02 * BOW), np.float32(10), steps)
    np.testing.assert_allclose(to_numpy(steps), 0, atol=1e-7)


def test_places_may_need_large_indices(put):
    small, off = filtered(put), put(FIELD)
    large = Filtered.of(*(put(x) for x in (KERNELS, AT.astype(np.int64), FIELD, FIDELITY, BOW)))
    a, b = (put(np.zeros((RADII, *SHAPE), np.float32)) for _ in range(2))
    step(small, off, LIMIT, a)
    step(large, off, LIMIT, b)
    np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_iterations_are_those_of_admm_with_a_copy_of_every_field(put):
    pull = 0.1 * RNG.standard_normal((5, *SHAPE)).astype(np.float32)
    given = filtered(put)
    held, off = put(np.zeros(COST.shape, np.complex64)), given.field.copy()
    drawn = put(np.zeros((1 + RADII, *SHAPE), np.float32))
    for n in range(5):
        drawn[0] = put(pull[n])
        step(given, off, LIMIT, drawn[1:])
        spectra = half_spectra(drawn)
        solve(spectra, held, given.kernels, put(COST), np.float32(SMOOTH), VOXELS)
        found = from_half_spectra(spectra, SHAPE, divide=False)
        settle(given, found[1:], drawn[1:], off)
    expected = plain_admm(pull)
    np.testing.assert_allclose(to_numpy(found[0]), expected, atol=1e-5 * np.abs(expected).max())


def plain_admm(pulls):
    """Chi after an iteration for each of the pulls: every radius has a copy of its whole field."""
    trust, reach = FIDELITY / (FIDELITY + FIT), LIMIT / FIT * FIDELITY
    normal = COST + FIT * (KERNELS**2).sum(axis=0)
    fields = np.zeros((RADII, *SHAPE))
    for pull in pulls:
        misfit = FIELD - fields.ravel()[AT]
        bend = (BOW * trust * misfit).sum() / (BOW**2 * trust).sum()
        agreed = fields.copy()
        agreed.ravel()[AT] += np.clip(trust * (misfit - bend * BOW), -reach, reach)
        spectrum = SMOOTH * scipy.fft.rfftn(pull)
        for kernel, copy, field in zip(KERNELS, agreed, fields, strict=True):
            spectrum = spectrum + FIT * kernel * scipy.fft.rfftn(2 * copy - field)
        spectrum = spectrum / normal
        predicted = [scipy.fft.irfftn(kernel * spectrum, s=SHAPE) for kernel in KERNELS]
        fields += RELAXATION * (predicted - agreed)
    return scipy.fft.irfftn(spectrum, s=SHAPE)
