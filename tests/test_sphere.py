"""An analytic sphere in a tilted slab, from coil images to chi: its sign, scale and orientation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from gadgetron_qsm.chain import susceptibility
from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.coils.roemer import roemer
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.settings import Settings
from tests.analytic import ball, coordinates, distance, sphere_field

SHAPE, VOXEL, RADIUS = (41, 42, 43), (2.0, 1.9, 2.1), 7.0
TRUE_PPB, LARMOR_HZ = 300.0, 123.25e6
ECHO_TIMES_S = (4e-3, 9e-3, 14e-3, 19e-3)
TILTED = ((0.8, -0.48, 0.36), (0.6, 0.64, -0.48), (0.0, 0.6, 0.8))  # read, phase, slice
B0 = (0.8, -0.48, 0.36)  # (slice, phase, read)
HEAD, R = ball(SHAPE, VOXEL, 37), distance(SHAPE, VOXEL)


def coil_images(chi_ppm):
    """Two coils with phase offsets around a head with a sphere in it, phase +2 pi f TE."""
    field_hz = chi_ppm * sphere_field(SHAPE, VOXEL, RADIUS, B0) * LARMOR_HZ * 1e-6
    z, _, x = coordinates(SHAPE, VOXEL)
    offsets = np.stack([1.0 + 0.02 * x, -2.0 + 0.02 * z])
    return np.stack([HEAD * np.exp(1j * (offsets + 2 * np.pi * field_hz * te) - te / 0.05)
                     for te in ECHO_TIMES_S]).astype(np.complex64)  # fmt: skip


@lru_cache
def chi_ppb(sign=1, directions=TILTED, larmor_hz=LARMOR_HZ):
    images = coil_images(sign * TRUE_PPB / 1000)
    combined = roemer(images, mcpc3ds(images, ECHO_TIMES_S, VOXEL))
    geometry = Geometry(SHAPE, VOXEL, (0.0, 0.0, 0.0), *directions)
    echoes = Echoes(combined, ECHO_TIMES_S, larmor_hz, geometry)
    chi = next(susceptibility([echoes], Settings()))
    assert (chi.name, chi.unit) == ("chi", "ppb")
    return chi.data


def contrast(chi):
    return chi[R < 0.7 * RADIUS].mean() - chi[(R > 1.5 * RADIUS) & (R < 28)].mean()


def streaks(chi):
    """Standard deviation around the sphere, where nothing is."""
    return chi[(R > 1.5 * RADIUS) & (R < 28)].std()


@pytest.mark.parametrize("sign", [1, -1], ids=["paramagnetic", "diamagnetic"])
def test_sign_more_susceptible_than_around_is_positive(sign):
    assert sign * contrast(chi_ppb(sign)) > 0


def test_scale_the_sphere_has_its_susceptibility():
    assert contrast(chi_ppb()) == pytest.approx(TRUE_PPB, rel=0.08)


def test_scale_goes_with_the_larmor_frequency_of_the_header():
    assert contrast(chi_ppb(larmor_hz=2 * LARMOR_HZ)) == pytest.approx(TRUE_PPB / 2, rel=0.1)


@pytest.mark.parametrize(
    "directions",
    [
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        (TILTED[2], TILTED[1], TILTED[0]),
        (TILTED[0], (-0.6, -0.64, 0.48), TILTED[2]),
        (TILTED[1], TILTED[0], TILTED[2]),
    ],
    ids=["not tilted", "read and slice swapped", "phase turned round", "read and phase swapped"],
)
def test_orientation_another_tilt_than_the_slabs_makes_streaks(directions):
    assert streaks(chi_ppb(directions=directions)) > 5 * streaks(chi_ppb())
