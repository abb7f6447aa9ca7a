from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measurement.maps import Maps

GRID = Geometry((2, 3, 4), (2.0, 1.0, 1.0), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))


def of(name, value=1.0, **echo):
    return Map(name, np.full(GRID.matrix, value, np.float32), "", GRID, **echo)


def seen(*volumes):
    maps = Maps()
    for volume in volumes:
        maps.see(volume)
    return maps


CHI, MASK = of("chi", 50.0), of("mask")
ECHOES = of("magnitude", 4.0, echo=1, echo_time_s=0.02), of("magnitude", 3.0, echo_time_s=0.01)


def test_magnitudes_are_joined_and_their_echo_times_rise():
    maps = seen(CHI, MASK, *ECHOES)
    assert maps.echo_times_s == (0.01, 0.02)
    np.testing.assert_allclose(maps.scan().magnitude, 5.0)


def test_chi_is_nothing_outside_the_mask():
    half = of("mask")
    half.data[0] = 0
    scan = seen(CHI, half, *ECHOES).scan()
    assert scan.chi[0].max() == 0
    assert scan.chi[1].min() == 50


def test_maps_measured_besides_come_along_and_fields_do_not():
    scan = seen(CHI, MASK, *ECHOES, of("r2star", 20.0), of("total_field")).scan()
    assert set(scan.others) == {"r2star"}


@pytest.mark.parametrize(
    ("volumes", "told"),
    [
        ((MASK, *ECHOES), "no map 'chi' came"),
        ((CHI, *ECHOES), "no map 'mask' came"),
        ((CHI, MASK), "no magnitude came"),
        ((CHI, of("mask", 0.0), *ECHOES), "the mask is empty"),
    ],
)
def test_what_is_missing_is_told_in_a_line(volumes, told):
    with pytest.raises(QsmError, match=told):
        seen(*volumes).scan()
