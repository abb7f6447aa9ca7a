"""Every step of the combination on a device: as on the host, by the same code."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gadgetron_qsm.coils import METHODS
from gadgetron_qsm.coils.products import add_products, plain, power
from gadgetron_qsm.coils.residues import phase_residues
from gadgetron_qsm.coils.roemer import roemer
from gadgetron_qsm.coils.sensitivities import relative_sensitivities
from gadgetron_qsm.coils.thinned import thinned
from gadgetron_qsm.coils.vrc import virtual_coil
from tests.coils.loops import OBJECT, VOXEL, coil_images, loops

TIMES_S = (5e-3, 11e-3, 17e-3)


@cache
def images():
    made = coil_images(loops(5), TIMES_S, noise=0.003)
    made.flags.writeable = False
    return made


def close(found, expected, tolerance=1e-4):
    """Whether a device array is that of the host, to a part of its largest value."""
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found.get(), expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize(
    ("method", "times_s"),
    [
        ("mcpc3ds", TIMES_S),
        ("mcpc3ds", TIMES_S[:2]),
        ("mcpc3ds", (5e-3, 10e-3, 15e-3)),
        ("vrc", TIMES_S),
    ],
    ids=["unwrapped", "two echoes", "ASPIRE", "virtual coil"],
)
def test_sensitivities_agree_on_a_device(method, times_s, device):
    some = images()[: len(times_s)]
    found = METHODS[method](device(some), times_s, VOXEL)
    expected = METHODS[method](some, times_s, VOXEL)
    close(found[:, device(OBJECT)], expected[:, OBJECT], 1e-3)


def test_relative_sensitivities_agree_on_a_device(device):
    first = images()[0]
    found = relative_sensitivities(device(first), device(first[0]), VOXEL, smoothing_mm=7.0)
    close(found, relative_sensitivities(first, first[0], VOXEL, smoothing_mm=7.0))


def test_the_virtual_coil_agrees_on_a_device(device):
    close(virtual_coil(device(images()[0])), virtual_coil(images()[0]))


def test_a_virtual_coil_without_signal_is_refused_on_a_device(device):
    with pytest.raises(ValueError, match="no signal"):
        virtual_coil(device(np.zeros((2, 5, 6, 7), np.complex64)))


def test_the_combination_agrees_on_a_device(device):
    sensitivities = loops(5).astype(np.complex64)
    found = roemer(device(images()), device(sensitivities))
    close(found, roemer(images(), sensitivities))


@pytest.mark.parametrize("add", [add_products, plain])
@pytest.mark.parametrize("planes", [slice(None), slice(1, 30, 7)], ids=["all", "some"])
def test_sums_over_coils_agree_on_a_device(planes, add, device):
    first, later, last = images()[:, :, planes]
    total = device(last[0])
    add(total, device(images()[0])[:, planes], device(later))
    close(total, last[0] + (first.conj() * later).sum(axis=0))


def test_the_power_agrees_on_a_device(device):
    close(power(device(images()[0])), (np.abs(images()[0]) ** 2).sum(axis=0))


def test_phase_residues_agree_on_a_device(device):
    summed = images()[2].sum(axis=0)
    found = phase_residues(device(summed), device(OBJECT))
    assert found == phase_residues(summed, OBJECT) > 0


def test_thinned_volumes_agree_on_a_device(device):
    volume = np.random.default_rng(0).random((3, 150, 64))
    np.testing.assert_array_equal(thinned(device(volume)).get(), thinned(volume))
