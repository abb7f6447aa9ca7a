from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID

from gadgetron_qsm.dicom import identity, values
from gadgetron_qsm.dicom.identity import (
    REPORT,
    SEGMENTATION,
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


def test_another_form_unit_or_version_is_another_series(make_map, header, monkeypatch):
    volume = make_map()
    other_unit = dataclasses.replace(volume, unit="Hz")
    uids = [series_uid(volume, header), series_uid(other_unit, header)]
    uids += [series_uid(volume, header, form) for form in ("enhanced", "parametric")]
    monkeypatch.setattr(identity, "__version__", "another")
    uids.append(series_uid(volume, header))
    assert len(set(uids)) == len(uids)
    dataset = Dataset()
    identity.add_series(dataset, volume, header, "enhanced")
    assert dataset.SeriesInstanceUID == series_uid(volume, header, "enhanced")


def test_figures_that_were_computed_from_the_data_are_not_in_an_identifier(make_map, header):
    def of(**stages):
        return series_uid(make_map(report={"provenance": stages}), header)

    assert of(odd_even_phase={"constant_rad": 0.1}) == of(odd_even_phase={"constant_rad": 0.2})
    assert of(odd_even_phase={"constant_rad": 0.1}) != of()
    assert of(sense={"method": "x", "residual": 1}) == of(sense={"method": "x", "residual": 2})
    assert of(sense={"method": "x"}) != of(sense={"method": "y"})


@pytest.mark.parametrize("place", ["patientID", "patientName"])
def test_an_image_of_another_patient_is_another_image(make_map, full_header, place):
    one, other = full_header(), full_header()
    setattr(other.document.subjectInformation, place, "completed")
    assert series_uid(make_map(), one) != series_uid(make_map(), other)


def test_what_settings_change_in_an_image_changes_its_identifier(make_map, header):
    lying = copy.deepcopy(header.document)
    lying.measurementInformation.patientPosition = "HFS"
    framed = copy.deepcopy(header.document)
    framed.measurementInformation.frameOfReferenceUID = "1.2.3"
    others = [
        dataclasses.replace(header, series_offset=2_000_000),
        dataclasses.replace(header, document=lying),
        dataclasses.replace(header, document=framed),
    ]
    assert len({series_uid(make_map(), other) for other in [header, *others]}) == 4


SCRIPT = """
import sys
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import series_number, series_uid
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
geometry = Geometry((5, 7, 6), (2.5, 1.25, 1.5), (3, -12, 20), (1, 0, 0), (0, 1, 0), (0, 0, 1))
report = {"provenance": {"a": {"method": "b", "of": {"x", "y", "z"}}}}
header = Header.parse(sys.stdin.read())
volume = Map("chi", None, "ppb", geometry, report=report)
print(series_uid(volume, header), series_number(volume, header))
"""


def test_another_process_makes_the_same_identifiers(make_map, bare_header):
    report = {"provenance": {"a": {"of": {"z", "y", "x"}, "method": "b"}}}
    volume = make_map(report=report)
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=bare_header.text,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed == [series_uid(volume, bare_header), str(series_number(volume, bare_header))]


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
    numbers = [
        series_number(make_map(name, repetition=repetition), header)
        for header in (full_header(number=5), full_header(number=6))
        for name in MAPS
        for repetition in range(120)
    ]
    assert len(set(numbers)) == len(numbers)


def test_the_first_repetitions_of_a_scan_stand_before_the_next_scan(make_map, full_header):
    last = series_number(make_map("smwi", repetition=49), full_header(number=5))
    assert last < series_number(make_map("chi"), full_header(number=6))


# Siemens and a few derived there; Philips 100 * scan + reconstruction; GE's derived 100 * source
# and 100 * 100 * source; Canon 1000 * scan
OF_SCANNERS = [
    *range(1, 1000),
    *(100 * scan + k for scan in range(1, 100) for k in range(1, 10)),
    *(100 * source for source in range(1, 10_000)),
    *(1000 * scan + k for scan in range(1, 100) for k in range(10)),
]


@pytest.mark.parametrize("own", [None, 1, 5, 99, 150, 301, 1501, 9901, 15_000])
@pytest.mark.parametrize("repetition", [0, 7, 499])
def test_no_series_number_is_one_of_a_scanner(make_map, full_header, bare_header, own, repetition):
    header = bare_header if own is None else full_header(number=own)
    ours = {series_number(make_map(name, repetition=repetition), header) for name in MAPS}
    # those of other programs too, which take 100 * that of the source, whatever it is
    others = {*OF_SCANNERS, *(100 * number for number in OF_SCANNERS)}
    assert ours.isdisjoint(others)


@pytest.mark.parametrize("own", [1, 199_999, 200_000, -3])
@pytest.mark.parametrize("repetition", [0, 499, 500, 10_000])
def test_series_numbers_are_lawful(make_map, full_header, own, repetition):
    header = dataclasses.replace(full_header(number=own), series_offset=100_000_000)
    number = series_number(make_map(repetition=repetition), header)
    assert 100_000_000 < number < 2**31


def test_scans_without_a_number_are_numbered_by_their_measurement(make_map, bare_header):
    def of(uid):
        return series_number(
            make_map(report={"provenance": {"scan": {"measurement_uid": uid}}}), bare_header
        )

    assert of(397) == 11_397_001
    assert len({of(uid) for uid in range(70_000, 70_100)}) == 100
    assert series_number(make_map(), bare_header) > 11_000_000


def test_what_is_no_map_is_numbered_by_its_offset(make_map, header):
    numbers = {series_number(make_map(name), header) for name in MAPS}
    kept = {series_number(make_map(), header, offset) for offset in (SEGMENTATION, REPORT)}
    assert kept == {1_005_016, 1_005_017}
    assert numbers.isdisjoint(kept)


def test_series_numbers_begin_where_the_header_says(make_map, header):
    lower = dataclasses.replace(header, series_offset=10_000)
    assert series_number(make_map(), lower) == 15_001


def test_scans_get_folders_of_their_own_that_do_not_name_the_patient(make_map, full_header):
    first, second = full_header(name="Doe^Jane"), full_header(name="Roe^John")
    names = {scan_name(make_map(), header) for header in (first, second)}
    again = make_map(report={"provenance": {"scan": {"measurement_uid": 2}}})
    names.add(scan_name(again, first))
    assert len(names) == 3
    assert scan_name(make_map("r2star"), first) == scan_name(make_map(), first)
    assert all(name.isalnum() for name in names)
