"""Coded entries, and the Real World Value Mapping made of them (PS3.3 C.7.6.16.2.11)."""

from __future__ import annotations

from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence

from gadgetron_qsm.dicom.kinds import Code, Kind
from gadgetron_qsm.dicom.pixels import HIGHEST, LOWEST
from gadgetron_qsm.dicom.values import text

QUANTITY: Code = ("246205007", "SCT", "Quantity")
FIRST_VALUE_MAPPED, LAST_VALUE_MAPPED = 0x00409216, 0x00409211


def coded(code: Code) -> Sequence:
    """Return a code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Sequence([item])


def real_world_values(kind: Kind) -> Sequence:
    """Return the mapping of every signed 16-bit count to the kind's unit."""
    item = Dataset()
    item.LUTLabel = kind.image_type
    item.LUTExplanation = text(kind.meaning, 64)
    item.RealWorldValueIntercept = 0.0
    item.RealWorldValueSlope = 1.0
    # The dictionary says US or SS; counts are signed.
    item.add(DataElement(FIRST_VALUE_MAPPED, "SS", LOWEST))
    item.add(DataElement(LAST_VALUE_MAPPED, "SS", HIGHEST))
    item.MeasurementUnitsCodeSequence = coded(kind.unit_code)
    if kind.quantity:
        item.QuantityDefinitionSequence = Sequence([_definition(kind.quantity)])
    return Sequence([item])


def _definition(quantity: Code) -> Dataset:
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = coded(QUANTITY)
    item.ConceptCodeSequence = coded(quantity)
    return item
