"""Coded entries, and the Real World Value Mapping made of them (PS3.3 C.7.6.16.2.11)."""

from __future__ import annotations

from typing import Any

from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import Code, kind_of
from gadgetron_qsm.dicom.pixels import Counts
from gadgetron_qsm.dicom.values import text

QUANTITY: Code = ("246205007", "SCT", "Quantity")
REFERENCE_REGION: Code = ("C94970", "NCIt", "Reference Region")
FIRST_VALUE_MAPPED, LAST_VALUE_MAPPED = 0x00409216, 0x00409211


def coded(code: Code) -> Sequence:
    """Return a code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Sequence([item])


def real_world_values(volume: Map, stored: Counts) -> Sequence:
    """Return the mapping of every count of a map to its unit.

    It names what is measured and, for a map relative to a region that was recorded, that region.
    """
    kind = kind_of(volume)
    item = Dataset()
    item.LUTLabel = kind.image_type
    item.LUTExplanation = text(kind.meaning, 64)
    item.RealWorldValueIntercept = stored.intercept
    item.RealWorldValueSlope = stored.slope
    if stored.floats:
        item.DoubleFloatRealWorldValueFirstValueMapped = stored.lowest
        item.DoubleFloatRealWorldValueLastValueMapped = stored.highest
    else:  # the dictionary says US or SS, as the counts are
        vr = "SS" if stored.signed else "US"
        item.add(DataElement(FIRST_VALUE_MAPPED, vr, stored.lowest))
        item.add(DataElement(LAST_VALUE_MAPPED, vr, stored.highest))
    item.MeasurementUnitsCodeSequence = coded(kind.unit_code)
    if kind.quantity:
        item.QuantityDefinitionSequence = Sequence(definition(volume))
    return Sequence([item])


def definition(volume: Map) -> list[Dataset]:
    """Return what is measured, and relative to which region, as pairs of name and value."""
    kind, pairs = kind_of(volume), []
    if kind.quantity:
        pairs.append(_pair(QUANTITY, "CODE", ConceptCodeSequence=coded(kind.quantity)))
    region = volume.report.get("provenance", {}).get("reference", {}).get("region")
    if kind.referenced and region:
        pairs.append(_pair(REFERENCE_REGION, "TEXT", TextValue=text(region, 1024)))
    return pairs


def _pair(concept: Code, value_type: str, **value: Any) -> Dataset:
    item = Dataset()
    item.ValueType = value_type
    item.ConceptNameCodeSequence = coded(concept)
    for keyword, entry in value.items():
        setattr(item, keyword, entry)
    return item
