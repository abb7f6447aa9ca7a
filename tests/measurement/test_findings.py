from __future__ import annotations

import numpy as np

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measurement.findings import OUTLINED, found_sources, outlined, told
from gadgetron_qsm.measurement.sections import MeasureSettings

SHAPE = (24, 24, 24)
GRID = Geometry(SHAPE, (1.0, 1.0, 1.0), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
BLEED, CALCIUM = (7, 7, 7), (16, 16, 16)  # (z, y, x)


def ball(at, radius=2.0):
    return sum((i - c) ** 2 for i, c in zip(np.indices(SHAPE), at, strict=True)) <= radius**2


def scan():
    noise = np.random.default_rng(2).normal(0, 5, SHAPE)
    chi = 800 * ball(BLEED) - 700 * ball(CALCIUM) + noise
    dark = ball(BLEED, 2.5) | ball(CALCIUM, 2.5)
    rate = np.where(dark, 120, 20).astype(np.float32)
    magnitude = np.where(dark, 20, 100).astype(np.float32)
    mask = np.ones(SHAPE, bool)
    return Scan(chi.astype(np.float32), magnitude, mask, GRID, others={"r2star": rate})


def found(**asked):
    return found_sources(scan(), None, MeasureSettings(**asked), (0.005, 0.01), 123.2e6)


def test_each_kind_is_counted_and_each_source_told():
    section = told(found())
    assert section["microbleed_candidates"] == section["calcification_candidates"] == 1
    assert section["haematoma_candidates"] == 0
    at = {source["sign"]: source["voxel"] for source in section["found"]}
    assert at == {"paramagnetic": BLEED, "diamagnetic": CALCIUM}
    assert not {"box", "region"} & section["found"][0].keys()


def test_no_total_and_no_volume_is_told_of_a_map_of_two_passes():
    section = told(found(), two_pass=True)
    assert {source["total_ppm_mm3"] for source in section["found"]} == {None}
    assert {source["volume_mm3"] for source in section["found"]} == {None}
    assert section["found"][0]["peak_ppb"] > 0


def test_settings_say_what_is_strong_and_what_is_large():
    assert [source.sign for source in found(source_ppb=750.0)] == ["paramagnetic"]
    kinds = {source.kind for source in found(largest_mm=3.0)}
    assert "haematoma candidate" in kinds


def test_dicom_outlines_each_where_it_is():
    regions = {region.name: region.mask for region in outlined(found(), scan())}
    assert regions.keys() == {"microbleed candidate 1", "calcification candidate 1"}
    np.testing.assert_array_equal(regions["microbleed candidate 1"], ball(BLEED))
    np.testing.assert_array_equal(regions["calcification candidate 1"], ball(CALCIUM))


def test_dicom_outlines_no_more_than_memory_takes(caplog):
    (one, other) = found()
    regions = outlined([one] * OUTLINED + [other], scan())
    assert len(regions) == OUTLINED
    assert len({region.label for region in regions}) == OUTLINED
    assert "101 strong sources were found" in caplog.text
