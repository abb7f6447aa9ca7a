"""Outlined lesions: rim against core, how sure that is, and where they are."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.lesions import lesions
from gadgetron_qsm.measure.scan import Scan
from tests.analytic import ball, distance

SHAPE, SIZE = (30, 48, 44), (2.0, 0.9, 1.0)
GEOMETRY = Geometry(SHAPE, SIZE, (4.0, 5.0, 6.0), (0, 1, 0), (0, 0, 1), (1, 0, 0))
FIRST, SECOND = (2.0, -9.0, -8.0), (-4.0, 9.0, 9.0)
RADIUS, RIM_MM = 8.0, 2.5
RIM_PPB, CORE_PPB = 30.0, -12.0
LESION = Structure(1, "lesion")


def scan(chi, *, mask=None, noise=None):
    mask = np.ones(SHAPE, bool) if mask is None else mask
    return Scan(chi.astype(np.float32), np.ones(SHAPE, np.float32), mask, GEOMETRY, noise)


def ringed(sd=0.0):
    """Chi of a lesion whose outer 2.5 mm differ, and its labels."""
    away = distance(SHAPE, SIZE, FIRST)
    chi = np.where(away < RADIUS - RIM_MM, CORE_PPB, np.where(away < RADIUS, RIM_PPB, 0.0))
    chi += np.random.default_rng(1).normal(0, sd, SHAPE)
    return chi, LabelMap(ball(SHAPE, SIZE, RADIUS, FIRST).astype(np.uint8), (LESION,))


def test_the_rim_is_as_thick_as_said_in_mm_along_every_axis():
    chi, labels = ringed()
    (found,) = lesions(scan(chi), labels, rim_mm=RIM_MM)
    away = distance(SHAPE, SIZE, FIRST)
    expected = ((away < RADIUS) & (away > RADIUS - RIM_MM)).sum()
    assert found.rim.rim.voxels == pytest.approx(expected, rel=0.13)
    assert found.rim.rim.voxels + found.rim.core.voxels == found.chi.voxels == labels.values.sum()
    assert found.rim.core.mean == pytest.approx(CORE_PPB, abs=3)
    assert found.rim.rim.mean == pytest.approx(RIM_PPB, abs=5)
    assert found.rim.difference_ppb == pytest.approx(RIM_PPB - CORE_PPB, rel=0.15)


def test_a_rim_that_is_less_paramagnetic_is_negative():
    chi, labels = ringed()
    (found,) = lesions(scan(-chi), labels, rim_mm=RIM_MM)
    assert found.rim.difference_ppb < -30


@pytest.mark.parametrize("known", [True, False])
def test_the_error_is_how_much_the_difference_varies_from_scan_to_scan(known):
    sd = 20.0
    labels = ringed()[1]
    rng = np.random.default_rng(2)
    noise = np.full(SHAPE, sd, np.float32) if known else None
    found = [
        lesions(scan(rng.normal(0, sd, SHAPE), noise=noise), labels, correlation_mm=0.0)[0].rim
        for _ in range(60)
    ]
    varied = np.std([rim.difference_ppb for rim in found])
    assert np.mean([rim.error_ppb for rim in found]) == pytest.approx(varied, rel=0.25)


def test_the_errors_of_rim_and_core_add_in_squares_over_what_is_measured():
    chi, labels = ringed(sd=5.0)
    mask = np.broadcast_to(np.arange(SHAPE[2]) < SHAPE[2] // 2 - 8, SHAPE)
    noise = np.where(mask, 5.0, 500.0).astype(np.float32)
    rim = lesions(scan(chi, mask=mask, noise=noise), labels)[0].rim
    errors = (rim.rim.standard_error, rim.core.standard_error)
    assert rim.error_ppb == pytest.approx(np.hypot(*errors))
    rim = lesions(scan(chi, mask=mask), labels, correlation_mm=0.0)[0].rim
    parts = [part.sd / np.sqrt(part.voxels) for part in (rim.rim, rim.core)]
    assert rim.error_ppb == pytest.approx(np.hypot(*parts))


def test_each_piece_is_a_lesion_with_its_place_in_the_patient():
    first, second = ball(SHAPE, SIZE, RADIUS, FIRST), ball(SHAPE, SIZE, 5.0, SECOND)
    chi = np.where(first, 10.0, np.where(second, 20.0, 0.0))
    labels = LabelMap((first | second).astype(np.uint8), (LESION,))
    large, small = lesions(scan(chi), labels)
    assert [(one.number, one.chi.mean) for one in (large, small)] == [(1, 10.0), (2, 20.0)]
    slices, rows, columns = SECOND
    np.testing.assert_allclose(small.centre_mm, (4 + slices, 5 + columns, 6 + rows), atol=0.05)
    assert small.chi.volume_mm3 == pytest.approx(4 / 3 * np.pi * 125, rel=0.05)


@pytest.mark.parametrize("radius", [2.0, 3.1])
def test_a_small_lesion_has_no_core(radius):
    labels = LabelMap(ball(SHAPE, SIZE, radius, FIRST).astype(np.uint8), (LESION,))
    (found,) = lesions(scan(np.zeros(SHAPE)), labels)
    assert found.rim is None


def test_what_lies_outside_the_mask_is_not_measured():
    chi, labels = ringed()
    mask = np.broadcast_to(np.arange(SHAPE[2]) < SHAPE[2] // 2 - 8, SHAPE)
    (found,) = lesions(scan(np.where(mask, chi, 999.0), mask=mask), labels)
    assert found.chi.maximum <= RIM_PPB
    assert found.chi.fraction_inside == pytest.approx(0.5, abs=0.1)
    with pytest.raises(QsmError, match="no lesion lies where the map holds"):
        lesions(scan(chi, mask=ball(SHAPE, SIZE, 3.0, SECOND)), labels)


def test_labels_of_another_grid_are_refused():
    with pytest.raises(ValueError, match="labels are"):
        lesions(scan(np.zeros(SHAPE)), LabelMap(np.ones((2, 2, 2), np.uint8), (LESION,)))
