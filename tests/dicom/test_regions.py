from __future__ import annotations

import logging

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from gadgetron_qsm.dicom.regions import (
    KNOWN,
    LATERALITIES,
    TISSUE,
    coded_region,
    occupied,
    regions_of,
)
from gadgetron_qsm.errors import QsmError


@pytest.fixture
def some():
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 2, :4] = True
    return mask


def test_a_region_without_a_voxel_is_left_out_with_a_warning(some, caplog):
    regions = [coded_region("putamen", some, "left"), coded_region("thalamus", some & False)]
    with caplog.at_level(logging.WARNING):
        assert occupied(regions) == regions[:1]
    assert caplog.messages == ["regions without a voxel were left out: thalamus"]


def test_a_region_that_lies_out_of_the_map_is_left_out(some, caplog):
    regions = [coded_region(name, mask) for name, mask in (("putamen", some), ("thalamus", ~some))]
    with caplog.at_level(logging.WARNING):
        assert occupied(regions, within=~some) == regions[1:]
    assert caplog.messages == ["regions without a voxel were left out: putamen"]


def test_without_any_voxel_the_regions_are_refused(some):
    with pytest.raises(QsmError, match="no region has a voxel"):
        occupied(regions_of(some & False))


def test_two_regions_of_one_label_are_refused(some):
    both = [coded_region("putamen", some, side) for side in ("left", "right")]
    assert [region.label for region in occupied(both)] == ["left putamen", "right putamen"]
    with pytest.raises(ValueError, match="the same label: left putamen"):
        occupied([both[0], both[0]])


def test_a_region_without_a_known_code_has_the_general_one(some):
    region = coded_region("dentate nucleus", some, "right")
    assert (region.category, region.type) == (TISSUE, TISSUE)
    assert region.label == "right dentate nucleus"


def test_a_mask_of_numbers_holds_where_they_are_positive():
    mask = np.array([[[0.0, 1.0, 1.0]]], np.float32)
    (brain,) = regions_of(mask)
    assert brain.mask.tolist() == [[[False, True, True]]]
    assert [region.name for region in regions_of(mask, mask)] == ["whole brain", "CSF"]


def listed(cid):
    """Code values and meanings of a context group of PS3.16, as pydicom has them."""
    group = getattr(codes, f"cid{cid}")
    return {(code.value, code.meaning) for code in (getattr(group, name) for name in group.dir())}


def test_codes_are_those_of_the_standard():
    for category, of_type in KNOWN.values():
        assert (category[0], category[2]) in listed(7150)
        assert of_type[1] == "FMA" or (of_type[0], of_type[2]) in listed(7153)
    assert {(code[0], code[2]) for code in LATERALITIES.values()} < listed(244)
    assert (TISSUE[0], TISSUE[2]) in listed(7150) & listed(7151)
