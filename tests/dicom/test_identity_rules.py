from __future__ import annotations

import logging

import pytest
from pydicom import Dataset
from pydicom.uid import UID

from gadgetron_qsm.dicom import identity
from gadgetron_qsm.dicom.identity_rules import PLACES, completed, completions
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings
from tests.dicom.conftest import BARE

# As siemens_to_ismrmrd leaves it: no patient, no study, no series number.
SIEMENS = """
<measurementInformation><measurementID>71_1402_{measurement}</measurementID>
<patientPosition>HFS</patientPosition><protocolName>gre_qsm</protocolName>
<frameOfReferenceUID>1.3.12.2.1107.5.2.99</frameOfReferenceUID></measurementInformation>
<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor>
<institutionName>{institution}</institutionName></acquisitionSystemInformation>
"""
USER = """<userParameters><userParameterLong><name>Subject</name><value>17</value>
</userParameterLong><userParameterString><name>Visit</name><value>baseline</value>
</userParameterString></userParameters></ismrmrdHeader>"""


def siemens(measurement=397, institution="Hospital", user=""):
    text = SIEMENS.format(measurement=measurement, institution=institution)
    text = BARE.format(identity=text, train="", sequence="", limits="")
    return Header.parse(text.replace("</ismrmrdHeader>", user) if user else text)


def rules(**settings):
    return Settings.from_properties({f"identity.{k}": v for k, v in settings.items()}).identity


def written(header):
    dataset = Dataset()
    identity.add_patient(dataset, header)
    identity.add_study(dataset, header)
    return dataset


def test_without_rules_a_header_stays_as_it_is(header):
    assert completed(header, rules()) == header
    assert completions(header, completed(header, rules())) == {}


def test_texts_fill_what_the_header_lacks():
    told = rules(
        patient_name="Subject^{user.Subject}",
        patient_id="QSM-{user.Subject}",
        study_uid="1.2.3.{user.Subject}",
        study_id="{user.Visit}",
        accession_number="A0{measurement_id}",
        study_description="{protocol} on {vendor}",
    )
    dataset = written(completed(siemens(user=USER), told))
    assert str(dataset.PatientName) == "Subject^17"
    assert dataset.PatientID == "QSM-17"
    assert dataset.StudyInstanceUID == "1.2.3.17"
    assert dataset.StudyID == "baseline"
    assert dataset.AccessionNumber == "A071_1402_397"
    assert dataset.StudyDescription == "gre_qsm on SIEMENS"


def test_position_and_frame_of_reference_are_completed_without_a_section_for_them(
    bare_header, make_map
):
    header = completed(bare_header, rules(patient_position="ffs", frame_uid="1.2.3.4"))
    dataset = Dataset()
    identity.add_series(dataset, make_map(), header)
    assert (dataset.PatientPosition, dataset.FrameOfReferenceUID) == ("FFS", "1.2.3.4")


def test_a_position_that_is_no_term_counts_as_lacking(header):
    text = header.text.replace("<patientPosition>FFS<", "<patientPosition>Unknown<")
    result = completed(Header.parse(text), rules(patient_position="HFDL"))
    assert result.document.measurementInformation.patientPosition.value == "HFDL"


def test_a_frame_of_reference_alone_invents_no_position(bare_header, make_map):
    dataset = Dataset()
    identity.add_series(dataset, make_map(), completed(bare_header, rules(frame_uid="1.2.3.4")))
    assert (dataset.PatientPosition, dataset.FrameOfReferenceUID) == ("", "1.2.3.4")


def test_what_the_header_says_wins_unless_the_site_says_otherwise(header):
    given = {"patient_id": "other", "patient_position": "HFS"}
    kept, changed = (completed(header, rules(**given, override=o)) for o in ("false", "true"))
    assert kept == header
    assert written(changed).PatientID == "other"
    assert changed.document.measurementInformation.patientPosition.value == "HFS"
    assert str(written(changed).PatientName) == "Doe^Jane"


def test_the_given_header_is_not_changed():
    given = siemens()
    completed(given, rules(patient_id="1", study_key="{exam}", patient_position="FFS"))
    assert given == siemens()


def test_the_text_stays_because_identifiers_are_made_of_it():
    given = siemens()
    assert completed(given, rules(patient_id="1")).text == given.text


def test_a_text_with_a_field_that_the_header_lacks_is_not_used():
    result = completed(siemens(), rules(patient_id="QSM-{user.Subject}"))
    assert written(result).PatientID == ""
    assert completions(siemens(), result) == {"missing": "patient_id, study_uid"}


def test_a_name_may_be_made_of_a_completed_id():
    told = rules(patient_name="{patient_id}", patient_id="S{user.Subject}")
    assert str(written(completed(siemens(user=USER), told)).PatientName) == "S17"


@pytest.mark.parametrize("placeholder", ["xxxxxxxx", "XXXXXXXX", "xxx"])
def test_placeholders_of_anonymisers_count_as_lacking(full_header, placeholder):
    header = full_header(name=placeholder)
    assert str(written(completed(header, rules())).PatientName) == ""
    result = completed(header, rules(patient_name="Subject"))
    assert str(written(result).PatientName) == "Subject"


@pytest.mark.parametrize("name", ["Xu", "Xxa", "Max"])
def test_names_with_an_x_are_names(full_header, name):
    header = full_header(name=name)
    assert str(written(completed(header, rules(patient_name="Subject"))).PatientName) == name


def test_scans_that_share_a_key_are_one_study():
    told = rules(study_key="{exam}")
    first, second = (completed(siemens(number), told) for number in (397, 401))
    assert first.text != second.text
    study = written(first).StudyInstanceUID
    assert UID(study).is_valid
    assert written(second).StudyInstanceUID == study
    elsewhere = completed(siemens(institution="Clinic"), told)
    assert written(elsewhere).StudyInstanceUID != study


def test_a_scan_without_its_studys_key_is_a_study_of_its_own():
    told = rules(study_key="{study_date}")
    first, second = (completed(siemens(number), told) for number in (397, 401))
    assert written(first).StudyInstanceUID != written(second).StudyInstanceUID


def test_a_key_does_not_move_a_scan_out_of_its_own_study(header):
    assert completed(header, rules(study_key="{protocol}")) == header


def test_a_key_moves_a_scan_out_of_its_own_study_where_settings_override_the_header(header):
    result = completed(header, rules(study_key="{protocol}", override="true"))
    assert written(result).StudyInstanceUID != written(header).StudyInstanceUID


@pytest.mark.parametrize("keyed", [{}, {"study_key": "{exam}"}])
def test_no_study_is_of_two_patients(keyed):
    first, second = (written(completed(siemens(), rules(patient_id=p, **keyed))) for p in "AB")
    assert first.StudyInstanceUID != second.StudyInstanceUID


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("accession_number", "1" * 17, "more than 16 characters"),
        ("patient_id", "1" * 65, "more than 64 characters"),
        ("patient_name", "a\\b", "backslash"),
        ("study_uid", "1.2.3.abc", "no UID"),
    ],
)
def test_a_text_that_dicom_would_cut_or_drop_is_refused(name, value, says):
    with pytest.raises(UsageError, match=f"{name} does not fit: .*{says}"):
        rules(**{name: value})
    with pytest.raises(QsmError, match=says):
        completed(siemens(user=USER), rules(**{name: value + "{user.Visit}"}))


def test_a_text_whose_field_the_header_lacks_is_told_without_values(caplog):
    completed(siemens(), rules(patient_id="QSM-{user.Subject}"))
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "identity.patient_id is not used: the header lacks one of {user.Subject}"
    ]


def test_made_identifiers_are_those_of_the_study_and_say_nothing():
    told = rules(study_key="{exam}", missing="made")
    ids = [written(completed(siemens(number), told)).PatientID for number in (397, 401)]
    assert ids[0] == ids[1]
    assert ids[0].startswith("QSM-")
    assert "1402" not in ids[0]
    alone = {written(completed(siemens(n), rules(missing="made"))).PatientID for n in (397, 401)}
    assert len(alone) == 2


def test_refuse_names_what_is_lacking_and_what_to_set():
    with pytest.raises(QsmError) as error:
        completed(siemens(), rules(missing="refuse", patient_id="S{user.Subject}"))
    assert str(error.value) == (
        "the MRD header lacks {user.Subject} for identity.patient_id and a study_uid; set what "
        "identity.* completes, or identity.missing=made or empty"
    )


def test_refuse_takes_a_header_that_has_what_an_archive_needs(header):
    assert completed(header, rules(missing="refuse", study_key="{exam}")) == header
    told = rules(missing="refuse", patient_id="{user.Subject}", study_key="{exam}")
    assert written(completed(siemens(user=USER), told)).PatientID == "17"


def test_an_accession_number_keeps_its_zeros(header):
    text = header.text.replace("<accessionNumber>42<", "<accessionNumber>0042<")
    zeros = Header.parse(text)
    result = completed(zeros, rules())
    assert written(result).AccessionNumber == "0042"
    assert completions(zeros, result) == {}


def test_completing_twice_changes_nothing_more():
    told = rules(patient_name="{patient_id}", missing="made", study_key="{exam}")
    once = completed(siemens(), told)
    assert completed(once, told) == once


def test_the_log_names_what_was_completed_and_no_value(caplog):
    with caplog.at_level(logging.DEBUG):
        result = completed(siemens(), rules(patient_name="Doe^Jane", patient_id="P-17"))
    assert "completed patient_id, patient_name; missing study_uid" in caplog.text
    assert "Doe" not in caplog.text
    assert "P-17" not in caplog.text
    assert completions(siemens(), result)["completed"] == "patient_id, patient_name"


def test_the_numbers_of_series_begin_where_the_settings_say(header, make_map):
    told = completed(header, rules(series_offset="20000"))
    assert identity.series_number(make_map(), told) == 25_001


@pytest.mark.parametrize("offset", ["20001", "9000", "200000000"])
def test_an_offset_that_would_mix_numbers_is_refused(offset):
    with pytest.raises(UsageError, match=r"identity\.series_offset"):
        rules(series_offset=offset)


def test_every_place_is_a_setting():
    assert set(PLACES) <= set(type(rules()).model_fields)


def test_dates_and_sex_are_filled_in(header):
    told = rules(study_date="{series_date}", patient_birth_date="1970-02-28", patient_sex="F")
    text = header.text.replace("<patientBirthdate>1970-01-31<", "<patientBirthdate>unknown<")
    text = text.replace("<studyDate>2026-01-02<", "<studyDate>then<")
    dataset = written(completed(Header.parse(text.replace(">F<", ">?<")), told))
    assert (dataset.PatientBirthDate, dataset.PatientSex) == ("19700228", "F")
    assert dataset.StudyDate == "20260102"


@pytest.mark.parametrize("value", ["2026-13-01", "20260231", "2026-0102", "yesterday", "260102"])
def test_a_day_that_is_none_is_refused(value):
    with pytest.raises(UsageError, match=r"study_date does not fit: .*YYYYMMDD"):
        rules(study_date=value)


def test_a_sex_that_dicom_does_not_know_is_refused():
    with pytest.raises(UsageError, match="patient_sex does not fit: it is none of M, F, O"):
        rules(patient_sex="female")


@pytest.mark.parametrize("given", [{"patient_sex": "O"}, {"patient_birth_date": "19691231"}])
def test_who_is_another_has_other_series(header, make_map, given):
    other = completed(header, rules(override="true", **given))
    assert identity.series_uid(make_map(), other) != identity.series_uid(make_map(), header)
