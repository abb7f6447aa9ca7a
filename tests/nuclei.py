"""A ball of tissue with a nucleus, a ventricle and perhaps a bleed: complex echoes, coils combined.

Iron in the nucleus and the ventricle's cerebrospinal fluid (CSF) lie off the centre; the bleed is
where nothing can be told from the phase.
"""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import Volume
from tests.analytic import ball, sphere_field

SHAPE, VOXEL_SIZE = (32, 35, 36), (2.5, 2.0, 2.0)
GEOMETRY = Geometry(SHAPE, VOXEL_SIZE, (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
TE_S, LARMOR_HZ = (0.005, 0.010, 0.015), 123.2e6
IRON_PPM, IRON_HZ, TISSUE_HZ, CSF_HZ = 0.2, 60.0, 20.0, 1.0

BRAIN = ball(SHAPE, VOXEL_SIZE, 30.0)
IRON_AT, CSF_AT, BLEED_AT = (2.0, -10.0, 9.0), (0.0, 9.0, -8.0), (8.0, 8.0, 10.0)
IRON = ball(SHAPE, VOXEL_SIZE, 7.0, IRON_AT)
CSF = ball(SHAPE, VOXEL_SIZE, 7.0, CSF_AT)
BLEED = ball(SHAPE, VOXEL_SIZE, 5.0, BLEED_AT)


def echoes(*, csf=True, bleed=False, count=None):
    """The scan, with the first `count` of its echoes or all."""
    rng = np.random.default_rng(11)
    times = np.reshape(TE_S[:count], (-1, 1, 1, 1))
    field = IRON_PPM * sphere_field(SHAPE, VOXEL_SIZE, 7.0, GEOMETRY.b0_direction, IRON_AT)
    rate = np.where(IRON, IRON_HZ, np.where(CSF & csf, CSF_HZ, TISSUE_HZ))
    data = BRAIN * np.exp(times * (2j * np.pi * LARMOR_HZ * 1e-6 * field - rate))
    data = data + 0.003 * (rng.standard_normal((*data.shape, 2)) @ [1, 1j])
    if bleed:
        lost = np.exp(2j * np.pi * rng.random(data.shape))
        data = np.where(BLEED, 0.8 * lost, data)
    return Echoes(data.astype(np.complex64), TE_S[:count], LARMOR_HZ, GEOMETRY)


def volume(properties=None, **scene):
    """The scan on its way, with settings by key."""
    scan = echoes(**scene)
    settings = Settings.from_properties(properties or {})
    return Volume(scan, np.abs(scan.data), settings, Journal())
