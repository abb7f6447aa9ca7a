"""Both methods on a head in loops: what is combined has no open-ended fringe lines."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gadgetron_qsm.coils import METHODS
from gadgetron_qsm.coils.residues import phase_residues
from gadgetron_qsm.coils.roemer import roemer
from tests.coils.loops import OBJECT, SHAPE, VOXEL, coil_images, field_hz, loops, phase_error

ECHO_TIMES_S = (5e-3, 11e-3, 17e-3)
NOISE = 0.003


@cache
def images(coils, noise=NOISE):
    made = coil_images(loops(coils), ECHO_TIMES_S, noise)
    made.flags.writeable = False
    return made


def combine(method, data, echo_times_s=ECHO_TIMES_S):
    return roemer(data, METHODS[method](data, echo_times_s, VOXEL))


def last_echo(method, coils):
    """The last echo by a method; a virtual reference coil sees nothing but that one."""
    if method == "vrc":
        return combine(method, images(coils)[2:], ECHO_TIMES_S[2:])[0]
    return combine(method, images(coils))[2]


def rms(values):
    return np.sqrt((values**2).mean())


@pytest.mark.parametrize("coils", [4, 8, 16])
@pytest.mark.parametrize("method", ["mcpc3ds", "vrc"])
def test_fringe_lines_do_not_end_in_the_object_as_they_do_in_the_sum_of_coils(method, coils):
    assert phase_residues(np.exp(2j * np.pi * field_hz() * ECHO_TIMES_S[2]), OBJECT) == 0
    assert phase_residues(images(coils)[2].sum(axis=0), OBJECT) > 100
    assert phase_residues(last_echo(method, coils), OBJECT) == 0


@pytest.mark.parametrize("coils", [8, 32])
def test_the_phase_of_every_echo_is_that_of_the_field(coils):
    combined = combine("mcpc3ds", images(coils, 0.0))
    for image, te in zip(combined, ECHO_TIMES_S, strict=True):
        assert rms(phase_error(image, te)[OBJECT]) < 0.02


def test_the_phase_noise_is_that_of_the_best_combination():
    sensitivities = loops(16)
    error = phase_error(combine("mcpc3ds", images(16))[2], ECHO_TIMES_S[2])
    best = phase_error(roemer(images(16), sensitivities)[2], ECHO_TIMES_S[2])
    assert rms(error[OBJECT]) < 1.1 * rms(best[OBJECT])


def test_a_virtual_reference_coil_leaves_a_smooth_offset_of_its_own():
    offset = np.exp(1j * phase_error(last_echo("vrc", 8), ECHO_TIMES_S[2]))
    assert phase_residues(offset, OBJECT) == 0
    for axis in range(3):
        first, second = (np.moveaxis(offset, axis, 0)[part] for part in (np.s_[:-1], np.s_[1:]))
        inside = np.moveaxis(OBJECT, axis, 0)
        step = np.angle(second * first.conj())[inside[:-1] & inside[1:]]
        assert rms(step) < 0.15  # 4 mm


@pytest.mark.parametrize("method", ["mcpc3ds", "vrc"])
def test_coils_that_are_mixed_make_no_difference(method):
    rng = np.random.default_rng(0)
    unitary = np.linalg.qr(rng.normal(size=(8, 8)) + 1j * rng.normal(size=(8, 8)))[0]
    mixed = np.einsum("vc,eczyx->evzyx", unitary, images(8)).astype(np.complex64)
    expected = combine(method, images(8))
    error = np.angle(combine(method, mixed) * expected.conj())
    assert np.abs(error[:, OBJECT]).max() < 1e-3


@pytest.mark.parametrize("method", ["mcpc3ds", "vrc"])
def test_fewer_virtual_coils_do_as_well_as_all_coils(method):
    coils = images(16)
    covariance = np.einsum("czyx,dzyx->cd", coils[0], coils[0].conj(), optimize=True)
    virtual = np.linalg.eigh(covariance)[1][:, -8:].conj().T
    compressed = np.einsum("vc,eczyx->evzyx", virtual, coils, optimize=True)
    combined = combine(method, compressed.astype(np.complex64))
    assert phase_residues(combined[2], OBJECT) == 0
    if method == "mcpc3ds":
        errors = [phase_error(c[2], ECHO_TIMES_S[2]) for c in (combined, combine(method, coils))]
        assert rms(errors[0][OBJECT]) < 1.1 * rms(errors[1][OBJECT])


def seen_by_the_virtual_coil(images):
    """Magnitude of its sensitivity, of what all coils together have."""
    relative = METHODS["vrc"](images, (5e-3,), VOXEL)
    return 1 / np.sqrt((np.abs(relative) ** 2).sum(axis=0))[OBJECT]


def test_coils_that_hardly_overlap_are_both_in_the_virtual_coil():
    x = np.arange(SHAPE[2]) - SHAPE[2] // 2 - 6  # one sees much more than the other
    sensitivities = np.empty((2, *SHAPE), np.complex64)
    sensitivities[0], sensitivities[1] = np.clip(0.5 + x / 4, 0, 1), 1j * np.clip(0.5 - x / 4, 0, 1)
    seen = seen_by_the_virtual_coil(coil_images(sensitivities, (5e-3,), 0.01))
    share = (OBJECT & (x > 0)).sum() / OBJECT.sum()
    assert share < 0.25
    assert seen.min() > 0.9 * np.sqrt(share)  # the best for the mean logarithm


@pytest.mark.parametrize("noise", [0.003, 0.01])
def test_noise_around_the_object_does_not_blind_the_virtual_coil(noise):
    images = coil_images(loops(16), (5e-3,), noise)
    assert seen_by_the_virtual_coil(images).min() > 0.25


def test_an_object_without_air_around_it_has_a_virtual_coil():
    uniform = np.ones((1, 2, 6, 7, 8), np.complex64)
    np.testing.assert_allclose(np.abs(combine("vrc", uniform, (5e-3,))), np.sqrt(2), rtol=1e-3)


def test_the_virtual_reference_coil_is_made_from_the_earliest_echo():
    both = images(8)[[2, 0]]
    sensitivities = METHODS["vrc"](both, (17e-3, 5e-3), VOXEL)
    np.testing.assert_array_equal(sensitivities, METHODS["vrc"](both[1:], (5e-3,), VOXEL))


def test_one_coil_is_its_own_reference_but_for_a_constant():
    image = images(1)[:1]
    offset = (combine("vrc", image, (5e-3,)) * image[:, 0].conj())[:, OBJECT]
    assert np.abs(np.angle(offset * offset.mean().conj())).max() < 1e-3


def test_a_virtual_reference_coil_cannot_be_made_without_signal():
    with pytest.raises(ValueError, match="no signal"):
        METHODS["vrc"](np.zeros((1, 2, 5, 6, 7), np.complex64), (5e-3,), VOXEL)
