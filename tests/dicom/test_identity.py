from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID

from gadgetron_qsm.dicom import identity, values
from gadgetron_qsm.dicom.identity import (
    scan_name,
    series_description,
    series_number,
    series_uid,
    stable_uid,
)
from gadgetron_qsm.dicom.kinds import MAPS

PROVENANCE = {"background": {"method": "vsharp", "threshold": 0.05}}


def report_with(**parameters):
    return {"provenance": {"background": {**PROVENANCE["background"], **parameters}}}


def test_the_same_scan_and_settings_give_the_same_series_whatever_the_pixels_and_times(
    make_map, header
):
    first = make_map(report={"provenance": PROVENANCE, "timing_s": {"background": 1.0}})
    again = make_map(
        report={"provenance": {"background": {"threshold": np.float64(0.05), "method": "vsharp"}}},
        data=np.ones(first.geometry.matrix, np.float32),
    )
    assert series_uid(first, header) == series_uid(again, header)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "local_field"},
        {"report": report_with(threshold=0.06)},
        {"report": report_with(method="resharp")},
        {"position": (3, -12, 20.5)},
    ],
    ids=["map", "parameter", "method", "position"],
)
def test_another_map_setting_or_slab_gives_another_series(make_map, header, geometry, change):
    usual = {"name": "chi", "report": report_with()}
    if "position" in change:
        change = {"geometry": dataclasses.replace(geometry, **change)}
    assert series_uid(make_map(**usual), header) != series_uid(
        make_map(**{**usual, **change}), header
    )


def test_each_repetition_is_another_series(make_map, header):
    uids = {series_uid(make_map(repetition=repetition), header) for repetition in range(3)}
    assert len(uids) == 3


def test_repetitions_are_named_where_there_are_several(make_map, full_header):
    once, twice = full_header(), full_header(repetitions=2)
    assert series_description(make_map(), once) == "QSM chi"
    assert series_description(make_map(), twice) == "QSM chi rep1"
    assert series_description(make_map(repetition=1), twice) == "QSM chi rep2"
    assert series_description(make_map(repetition=1), once) == "QSM chi rep2"


def test_another_scan_gives_another_series(make_map, full_header):
    volume = make_map()
    assert series_uid(volume, full_header(number=5)) != series_uid(volume, full_header(number=6))


def test_identifiers_keep_their_parts_apart():
    assert stable_uid("ab", "c") != stable_uid("a", "bc")


@given(st.text())
def test_identifiers_are_valid_uids_of_a_uuid(part):
    uid = stable_uid(part)
    assert UID(uid).is_valid
    assert uid.startswith("2.25.")
    assert int(uid[5:]) < 2**128


def test_the_scans_own_study_and_frame_of_reference_are_kept(make_map, header):
    dataset = Dataset()
    identity.add_study(dataset, header)
    identity.add_series(dataset, make_map(), header)
    assert dataset.StudyInstanceUID == "1.2.826.0.1.3680043.10.999.5"
    assert dataset.FrameOfReferenceUID == "1.2.826.0.1.3680043.10.999.5.1"
    assert dataset.PatientPosition == "FFS"


def test_maps_of_a_scan_without_study_share_one_made_study_and_frame(make_map, bare_header):
    datasets = [Dataset(), Dataset()]
    for dataset, name in zip(datasets, ("chi", "r2star"), strict=True):
        identity.add_study(dataset, bare_header)
        identity.add_series(dataset, make_map(name), bare_header)
    chi, r2star = datasets
    assert chi.StudyInstanceUID == r2star.StudyInstanceUID
    assert chi.FrameOfReferenceUID == r2star.FrameOfReferenceUID
    assert len({chi.StudyInstanceUID, chi.FrameOfReferenceUID, chi.SeriesInstanceUID}) == 3


def test_a_study_identifier_that_is_none_is_replaced(full_header):
    header = full_header()
    header.document.studyInformation.studyInstanceUID = "unknown"
    dataset = Dataset()
    identity.add_study(dataset, header)
    assert UID(dataset.StudyInstanceUID).is_valid


def test_patient_and_study_come_from_the_header(header):
    dataset = Dataset()
    identity.add_patient(dataset, header)
    identity.add_study(dataset, header)
    assert str(dataset.PatientName) == "Doe^Jane"
    assert (dataset.PatientID, dataset.PatientBirthDate) == ("P-17", "19700131")
    assert (dataset.PatientSex, dataset.PatientWeight) == ("F", 71.25)
    assert (dataset.StudyDate, dataset.StudyTime) == ("20260102", "030405.250000")
    assert (dataset.StudyID, dataset.AccessionNumber) == ("7", "42")


def test_absent_patient_data_are_present_and_empty(bare_header):
    dataset = Dataset()
    identity.add_patient(dataset, bare_header)
    identity.add_study(dataset, bare_header)
    asked = "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber"
    assert {keyword: str(dataset[keyword].value) for keyword in asked.split()} == dict.fromkeys(
        asked.split(), ""
    )


@given(st.text(max_size=200))
def test_any_text_of_a_header_becomes_a_lawful_value(value):
    dataset = Dataset()  # pydicom's own check warns of a value that breaks its VR
    dataset.PatientName = values.name(value)
    dataset.PatientID = values.text(value, 64)
    assert isinstance(dataset.PatientID, str)
    assert len(dataset.PatientID) <= 64


def test_a_backslash_or_line_break_does_not_split_a_value():
    assert values.text("gre\\qsm\n 3D\t", 64) == "gre/qsm  3D"


def test_a_name_keeps_its_components():
    assert values.name("Müller^Ann^B^Dr^Jr") == "Müller^Ann^B^Dr^Jr"


def test_series_numbers_of_one_scan_are_all_different(make_map, header):
    maps = [make_map(name) for name in MAPS]
    numbers = {series_number(volume, header) for volume in maps}
    assert len(numbers) == len(maps)


def test_series_numbers_of_neighbouring_scans_never_meet(make_map, full_header):
    of_one = [
        series_number(make_map(name, repetition=repetition), full_header(number=5))
        for name in MAPS
        for repetition in range(120)
    ]
    assert len(set(of_one)) == 50 * len(MAPS)  # the 51st repetition has the numbers of the first
    last = max(of_one)
    assert last < min(series_number(make_map(name), full_header(number=6)) for name in MAPS)


@pytest.mark.parametrize("scanner", [1, 99, 1501, 9999])
def test_series_numbers_lie_beyond_those_of_scanners(make_map, full_header, scanner):
    assert series_number(make_map(), full_header(number=scanner)) > 10_000


def test_a_scan_without_a_number_is_numbered_all_the_same(make_map, bare_header):
    assert series_number(make_map("chi"), bare_header) == 10_001


def test_scans_get_folders_of_their_own_that_do_not_name_the_patient(make_map, full_header):
    first, second = full_header(name="Doe^Jane"), full_header(name="Roe^John")
    names = {scan_name(make_map(), header) for header in (first, second)}
    again = make_map(report={"provenance": {"scan": {"measurement_uid": 2}}})
    names.add(scan_name(again, first))
    assert len(names) == 3
    assert scan_name(make_map("r2star"), first) == scan_name(make_map(), first)
    assert all(name.isalnum() for name in names)
