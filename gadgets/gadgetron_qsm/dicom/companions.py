"""What objects that go with a map's series, made by highdicom, have in common.

They are of the software, not of the scanner, whose images they only refer to. They are made
without the patient's name, which highdicom quotes in warnings where it doubts its form, and
without the time of writing, so that the same scan gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from pydicom import Dataset

from gadgetron_qsm import __version__
from gadgetron_qsm.dicom.identity import stable_uid
from gadgetron_qsm.dicom.provenance import ACQUISITION, SOFTWARE
from gadgetron_qsm.dicom.values import text

DATES = ("ContentDate", "ContentTime", "SeriesDate", "SeriesTime")
OF_WRITING = ("InstanceCreationDate", "InstanceCreationTime")


def made_here(series: str) -> dict[str, Any]:
    """Return highdicom's arguments for the only object of a series that this software makes."""
    return {
        "series_instance_uid": series,
        "sop_instance_uid": stable_uid(series, "1"),
        "instance_number": 1,
        "manufacturer": SOFTWARE,
        "manufacturer_model_name": SOFTWARE,
        "software_versions": __version__,
    }


def nameless(sources: Sequence[Dataset]) -> list[Dataset]:
    """Return source images of which the first, the one that highdicom copies from, has no name.

    It is a deep copy: else the new object would share its elements with the image, and what is
    set in the one would change in the other.
    """
    first = Dataset()
    for element in sources[0]:
        first.add(deepcopy(element))
    first.PatientName = ""
    return [first, *sources[1:]]


def complete(dataset: Dataset, source: Dataset, description: str) -> None:
    """Set what highdicom leaves out or makes anew each time; `source` is an image of the map."""
    dataset.PatientName = source.get("PatientName", "")
    dataset.SeriesDescription = text(f"{description} RESEARCH", 64)
    dataset.ContentQualification = "RESEARCH"
    for keyword in OF_WRITING:
        dataset.pop(keyword, None)
    for keyword in DATES:
        if source.get(keyword):
            setattr(dataset, keyword, source[keyword].value)
    dataset.ContributingEquipmentSequence = _contributors(dataset, source)


def _contributors(dataset: Dataset, source: Dataset) -> list[Dataset]:
    """Equipment of the images, highdicom's own entry, and the scanner unless already there."""
    items = deepcopy(list(source.get("ContributingEquipmentSequence", ())))
    scanner_there = any(_purpose(item) == ACQUISITION[0] for item in items)
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.pop("ContributionDateTime", None)
        if not (scanner_there and _purpose(item) == ACQUISITION[0]):
            items.append(item)
    return items


def _purpose(item: Dataset) -> str:
    return str(item.PurposeOfReferenceCodeSequence[0].CodeValue)
