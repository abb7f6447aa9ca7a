from __future__ import annotations

import logging

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.regions import rows
from gadgetron_qsm.measure.scan import Scan

AXIAL = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
GRID = Geometry((4, 6, 8), (2.0, 1.0, 1.5), (0.0, 0.0, 0.0), *AXIAL)
PUTAMEN = Structure(1, "putamen", "left"), Structure(2, "putamen", "right")
STEM = Structure(3, "brain stem")


@pytest.fixture
def labels():
    values = np.zeros(GRID.matrix, np.uint8)
    values[1, 2, 5:7], values[1, 2, 1:3], values[3] = 1, 2, 3
    return LabelMap(values, (*PUTAMEN, STEM))


def scan_of(labels, **more):
    """Chi is 60 ppb left, 40 right, -30 elsewhere; the last plane is out of the mask."""
    mask = np.ones(GRID.matrix, bool)
    mask[3] = False
    chi = np.full(GRID.matrix, -30.0, np.float32)
    chi[labels.values == 1], chi[labels.values == 2] = 60, 40
    return Scan(np.where(mask, chi, 0), np.ones(GRID.matrix, np.float32), mask, GRID, **more)


def test_each_region_has_its_side_value_and_volume(labels):
    brain, left, right = rows(scan_of(labels), labels)
    assert (left.region, left.side, left.label) == ("putamen", "left", "left putamen")
    assert (left.map, left.unit, left.reference) == ("chi", "ppb", "whole brain")
    assert (left.found.mean, right.found.mean) == (60, 40)
    assert left.found.volume_mm3 == 2 * 3
    assert (brain.label, brain.found.voxels) == ("whole brain", 3 * 6 * 8)


def test_a_region_out_of_the_map_is_left_out_with_a_warning(labels, caplog):
    with caplog.at_level(logging.WARNING):
        found = rows(scan_of(labels), labels)
    assert "brain stem" not in [row.region for row in found]
    assert caplog.messages == ["regions without a voxel in the map were left out: brain stem"]


def test_a_region_partly_out_of_the_map_is_measured_where_it_holds(labels):
    labels.values[2, :, :] = 3
    stem = rows(scan_of(labels), labels)[-1]
    assert (stem.found.mean, stem.found.fraction_inside) == (-30, 0.5)


def test_other_maps_have_their_units_and_are_not_relative(labels):
    others = {
        "r2star": np.full(GRID.matrix, 35.0, np.float32),
        "chi_negative": np.full(GRID.matrix, -7.0, np.float32),
    }
    found = [row for row in rows(scan_of(labels, others=others), labels) if row.side == "right"]
    assert [(row.map, row.unit, row.found.mean) for row in found] == [
        ("chi", "ppb", 40),
        ("r2star", "1/s", 35),
        ("chi_negative", "ppb", -7),
    ]
    assert [row.reference for row in found] == ["whole brain", None, None]
    noise = np.ones(GRID.matrix, np.float32)
    noisy = rows(scan_of(labels, others=others, noise=noise), labels)
    assert {row.found.standard_error is None for row in noisy if row.map != "chi"} == {True}


def test_the_reference_is_the_one_that_was_given(labels):
    found = rows(scan_of(labels), labels, reference="CSF of the ventricles")
    assert {row.reference for row in found} == {"CSF of the ventricles"}


def test_errors_are_of_the_noise_map_or_of_samples(labels):
    noise = np.full(GRID.matrix, 6.0, np.float32)
    mapped = rows(scan_of(labels, noise=noise), labels)[1].found.standard_error
    assert 6 / np.sqrt(2) < mapped < 6
    samples = np.stack([noise, -noise])  # as if all voxels had the same
    sampled = rows(scan_of(labels, noise=noise), labels, samples=samples)[1].found.standard_error
    assert sampled == pytest.approx(6, rel=0.01)
    assert rows(scan_of(labels), labels)[1].found.standard_error is None


def test_labels_on_another_grid_are_refused(labels):
    other = LabelMap(labels.values[1:], labels.structures)
    with pytest.raises(QsmError, match=r"grid is \(3, 6, 8\), the scan's \(4, 6, 8\)"):
        rows(scan_of(labels), other)


def test_a_map_that_holds_nowhere_is_refused(labels):
    scan = scan_of(labels)
    scan.mask[:] = False
    with pytest.raises(QsmError, match="the mask is empty"):
        rows(scan, labels)


def test_a_map_of_unknown_unit_is_refused(labels):
    scan = scan_of(labels, others={"swi": np.ones(GRID.matrix, np.float32)})
    with pytest.raises(ValueError, match="no unit is known of the map swi"):
        rows(scan, labels)
