"""What stays, against the profile's table E.1-1 as dicom-anonymizer has it."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator

import pytest
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from gadgetron_qsm.dicom import confidentiality
from gadgetron_qsm.dicom.deidentify import deidentified
from gadgetron_qsm.settings import Settings
from tests.missing import missing

# Words of our own, which the option to clean descriptors and structured content retains.
OUR_WORDS = {
    "ContentDescription",
    "ContributionDescription",
    "DerivationDescription",
    "FrameComments",
    "ImageComments",
    "SegmentDescription",
    "SegmentLabel",
    "SeriesDescription",
    "TextValue",
    "TrackingID",
}
VALUES = {
    "DA": "19710330",
    "TM": "112233",
    "DT": "19710330112233",
    "UI": "1.2.826.0.1.3680043.10.999.77",
    "AS": "055Y",
    "DS": "55",
    "IS": "55",
    "US": 55,
    "OB": b"planted ",
    "UN": b"planted ",
    "UR": "http://planted",
}


def table() -> set[BaseTag]:
    try:
        module = importlib.import_module(
            "dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c"
        )
    except ImportError:
        missing("dicom-anonymizer is not installed; see the extra 'test'")
    tags = {Tag(tag) for tag in module.ALL_TAGS if len(tag) == 2}
    return {tag for tag in tags if dictionary_has_tag(tag) and tag.group != 0x0002}


def planted(tags: set[BaseTag]) -> Dataset:
    """A dataset that has every attribute of the table, sequences with a text in their item."""
    dataset = Dataset()
    for tag in tags:
        vr = dictionary_VR(tag)
        value = VALUES.get(vr, "PLANTED")
        if vr == "SQ":
            item = Dataset()
            item.CodeMeaning = "PLANTED"
            value = Sequence([item])
        dataset.add(DataElement(tag, vr, value))
    return dataset


def left(dataset: Dataset, before: Dataset) -> Iterator[str]:
    """Give the attributes that still have what was planted."""
    for element in dataset:
        if element.value not in ("", None) and element.tag in before:
            was = before[element.tag]
            if element.VR != "SQ" and element.value == was.value:
                yield keyword_for_tag(element.tag)
            if element.VR == "SQ" and len(element.value) and "PLANTED" in str(element):
                yield keyword_for_tag(element.tag)


def cleaned(dataset: Dataset, header, **options: str) -> Dataset:
    given = {"deidentify": "true", "key": "nobody else has it", **options}
    rules = Settings.from_properties({f"identity.{k}": v for k, v in given.items()}).identity
    return deidentified(dataset, rules, header)


@pytest.fixture(scope="module")
def full() -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are none of their kind
        return planted(table())


def test_nothing_that_the_profile_removes_is_left_at_the_top(full, header):
    # What is in an item of these is cleaned by itself; a code's meaning stays.
    kept = {"ContentSequence", "ReferencedImageSequence", "SourceImageSequence"}
    assert set(left(cleaned(full, header), full)) <= OUR_WORDS | kept


def test_nothing_that_the_profile_removes_is_left_in_an_item(full, header):
    outer = Dataset()
    outer.SourceImageSequence = Sequence([full])
    result = cleaned(outer, header).SourceImageSequence[0]
    kept = {"ContentSequence", "ReferencedImageSequence", "SourceImageSequence"}
    assert set(left(result, full)) <= OUR_WORDS | kept


def test_each_option_retains_what_it_names_and_no_more(full, header):
    basic = set(left(cleaned(full, header), full))

    def retained(**options):
        return set(left(cleaned(full, header, **options), full)) - basic

    assert retained(keep_device="true") == confidentiality.OF_DEVICE
    characteristics = retained(keep_patient="true")
    assert characteristics == {"PatientAge", "PatientSize", "PatientWeight", "PatientSex"}
    dates = retained(keep_dates="true")
    times = {keyword for keyword in dates if full[keyword].VR in ("DA", "TM", "DT")}
    assert dates - times == {"TimezoneOffsetFromUTC"}
    assert {"StudyDate", "SeriesTime", "ContentDate", "AcquisitionDateTime"} <= times
    assert not any("Birth" in keyword or "Death" in keyword for keyword in times)


def test_every_word_of_the_tables_is_an_attribute():
    names = [*confidentiality.KEPT, *confidentiality.EMPTIED, *confidentiality.REMOVED]
    names += [*confidentiality.REPLACED, *confidentiality.OF_DEVICE, *confidentiality.OF_PATIENT]
    assert all(dictionary_has_tag(Tag(name)) for name in names)


def test_no_attribute_has_two_rules():
    rules = [
        confidentiality.KEPT,
        confidentiality.EMPTIED,
        confidentiality.REMOVED,
        frozenset(confidentiality.REPLACED),
    ]
    assert sum(len(rule) for rule in rules) == len(frozenset().union(*rules))
