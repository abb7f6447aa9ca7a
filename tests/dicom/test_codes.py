from __future__ import annotations

import numpy as np

from gadgetron_qsm.dicom.codes import real_world_values
from gadgetron_qsm.dicom.pixels import quantise, quantise12, unrounded

RECORDED = {"provenance": {"reference": {"method": "mean", "region": "CSF of the ventricles"}}}
RANDOM = np.random.default_rng(3).normal(0, 40, (5, 7, 6)).astype(np.float32)


def named(mapping):
    """Name and value of each pair of the quantity definition."""
    return [
        (
            pair.ConceptNameCodeSequence[0].CodeMeaning,
            pair.TextValue if pair.ValueType == "TEXT" else pair.ConceptCodeSequence[0].CodeMeaning,
        )
        for pair in mapping.QuantityDefinitionSequence
    ]


def test_the_mapping_of_chi_names_the_quantity_and_the_reference_region(make_map):
    (mapping,) = real_world_values(make_map(report=RECORDED), quantise(RANDOM))
    assert named(mapping) == [
        ("Quantity", "Magnetic Susceptibility"),
        ("Reference Region", "CSF of the ventricles"),
    ]


def test_a_region_that_was_not_recorded_is_not_named(make_map):
    (mapping,) = real_world_values(make_map(), quantise(RANDOM))
    assert named(mapping) == [("Quantity", "Magnetic Susceptibility")]


def test_a_map_relative_to_nothing_names_no_region(make_map):
    (mapping,) = real_world_values(make_map("r2star", report=RECORDED), quantise(RANDOM))
    assert named(mapping) == [("Quantity", "R2*")]


def test_the_mapping_covers_the_counts_and_leads_to_the_unit(make_map):
    for count in (quantise, quantise12):
        stored = count(RANDOM)
        (mapping,) = real_world_values(make_map(), stored)
        values = stored.counts * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
        np.testing.assert_allclose(values, RANDOM, atol=0.501)
        assert mapping.RealWorldValueFirstValueMapped <= stored.counts.min()
        assert mapping.RealWorldValueLastValueMapped >= stored.counts.max()


def test_the_mapping_of_floats_covers_them_in_double_precision(make_map):
    (mapping,) = real_world_values(make_map(), unrounded(RANDOM))
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped == RANDOM.min()
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == RANDOM.max()
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
