"""The least that stages need, and how far they are from it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.grid import good_size
from gadgetron_qsm.inversion.ss_tv import _radii
from tests.benchmarks.bandwidth import Rates, host
from tests.benchmarks.floor import shapes, table_rows
from tests.benchmarks.least import Shapes, least
from tests.benchmarks.scanner import Course

SCAN = Shapes(
    echoes=5,
    coils=8,
    virtual=8,
    matrix=(16, 20, 24),
    lines=320,
    samples=48,
    work=1 << 13,
    radii=3,
    iterations=30,
)
INVERSION = {
    "method": "ss_tv",
    "smallest_radius_mm": 6.0,
    "largest_radius_mm": 16.0,
    "padding_mm": 20.0,
    "iterations": 30,
}


def chi_map(**timing_s):
    data = np.zeros((16, 20, 24), np.float32)
    data[4:12, 5:15, 6:18] = 1
    geometry = Geometry(data.shape, (2.0,) * 3, (0.0,) * 3, (1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))
    report = {"provenance": {"inversion": INVERSION, "kspace": {}}, "timing_s": timing_s}
    return Map("chi", data, "ppb", geometry, report=report)


def source():
    stream = SimpleNamespace(echoes=5, lines=320, samples=48, scan=SimpleNamespace(coils=8))
    return SimpleNamespace(stream=stream)


def test_an_inversion_needs_twice_as_much_for_twice_the_iterations():
    once, twice = (least(replace(SCAN, iterations=n))["inversion"] for n in (10, 20))
    assert twice.moved == 2 * once.moved
    assert twice.operations == 2 * once.operations


def test_the_coil_images_are_what_ingest_moves_most_of():
    raw = 8 * 5 * 320 * 8 * 48
    images = 8 * 5 * 8 * 16 * 20 * 24
    assert least(SCAN)["ingest"].moved == raw + images + 4 * images


def test_grappa_needs_something_only_where_lines_are_missing():
    assert "grappa" not in least(SCAN)
    filled = least(replace(SCAN, lines=100))["grappa"]
    assert filled.operations == 8 * 5 * 220 * 24 * 8**2 * 16


def test_radii_are_as_many_as_the_inversion_takes():
    found = shapes(chi_map(), source())
    assert found.radii == len(_radii(6.0, 16.0, 4.0))
    assert found.iterations == 30
    assert found.virtual == found.coils == 8


def test_the_work_grid_is_that_of_the_mask_and_its_padding():
    padded = (8 + 10, 10 + 10, 12 + 10)  # voxels of 2 mm
    assert shapes(chi_map(), source()).work == math.prod(good_size(n) for n in padded)


def test_the_ratio_is_measured_over_floor():
    course = Course(maps=[(0.0, chi_map(coils=2.0, dicom=1.0))])
    (row,) = table_rows(course, source(), Rates(1e9, 1e12))
    assert row["stage"] == "coils"
    assert row["floor_s"] == pytest.approx(row["gb"])
    assert row["ratio"] == pytest.approx(2.0 / row["floor_s"])


def test_operations_make_the_floor_where_they_take_longer():
    assert Rates(10.0, 2.0).least_s(20.0, 100.0) == 50.0
    assert Rates(10.0, 2.0).least_s(20.0, 1.0) == 2.0


def test_rates_of_the_host_are_those_of_a_computer(monkeypatch):
    monkeypatch.setattr("tests.benchmarks.bandwidth.COPIED", 1 << 22)
    monkeypatch.setattr("tests.benchmarks.bandwidth.MATRIX", 128)
    rates = host()
    assert 1e7 < rates.bytes_per_s < 1e13
    assert 1e7 < rates.flops < 1e15
