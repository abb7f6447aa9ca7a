from __future__ import annotations

import io
import re
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID

from gadgetron_qsm.dicom.deidentify import deidentified
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings
from tests.dicom.conftest import BARE
from tests.written import write_series

KEY = "nobody else has it"
KEEP = {"keep_dates": "true", "keep_device": "true", "keep_patient": "true"}

# In every place of a header that is a text, a number or a day, something to be found again.
PLANTED = """
<subjectInformation><patientName>Plantname^Planta</patientName>
<patientWeight_kg>71.25</patientWeight_kg><patientHeight_m>1.83</patientHeight_m>
<patientID>PLANTID77</patientID><patientBirthdate>1971-03-30</patientBirthdate>
<patientGender>F</patientGender></subjectInformation>
<studyInformation><studyDate>2026-04-05</studyDate><studyTime>11:22:33</studyTime>
<studyID>PLANTSTUDY</studyID><accessionNumber>88442211</accessionNumber>
<referringPhysicianName>Plantdoctor^P</referringPhysicianName>
<studyDescription>MR head Plantname</studyDescription>
<studyInstanceUID>1.2.826.0.1.3680043.10.999.771</studyInstanceUID></studyInformation>
<measurementInformation><measurementID>PLANTMEAS_1</measurementID>
<seriesDate>2026-04-05</seriesDate><seriesTime>12:13:14</seriesTime>
<patientPosition>HFS</patientPosition><initialSeriesNumber>5</initialSeriesNumber>
<protocolName>gre; Plantname</protocolName><sequenceName>seq_plantname</sequenceName>
<seriesDescription>for Plantname</seriesDescription>
<seriesInstanceUIDRoot>1.2.826.0.1.3680043.10.999.772</seriesInstanceUIDRoot>
<frameOfReferenceUID>1.2.826.0.1.3680043.10.999.773</frameOfReferenceUID>
<referencedImageSequence>
<referencedSOPInstanceUID>1.2.826.0.1.3680043.10.999.774</referencedSOPInstanceUID>
</referencedImageSequence></measurementInformation>
<acquisitionSystemInformation><systemVendor>Vendor</systemVendor><systemModel>M3</systemModel>
<systemFieldStrength_T>3.0</systemFieldStrength_T>
<institutionName>Planthospital</institutionName><stationName>PLANTSTATION</stationName>
<deviceID>PLANTDEVICE</deviceID><deviceSerialNumber>PLANTSERIAL</deviceSerialNumber>
</acquisitionSystemInformation>
"""
TRACES = ("plant", "88442211", "19710330", "3680043.10.999", "112233", "121314", "20260405")
RETAINED = ("113106", "113108", "113109")  # dates, patient's characteristics, device


def planted() -> Header:
    text = BARE.format(identity=PLANTED, train="", sequence="", limits="")
    user = "<userParameters><userParameterString><name>Subject</name><value>S-4</value>"
    user += "</userParameterString></userParameters></ismrmrdHeader>"
    return Header.parse(text.replace("</ismrmrdHeader>", user))


def rules(**settings):
    given = {"deidentify": "true", "key": KEY, **settings}
    return Settings.from_properties({f"identity.{k}": v for k, v in given.items()}).identity


def encoded(dataset) -> str:
    """The object's file as text, less the UIDs made of hashes, which hold any six digits."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return re.sub(r"2\.25\.\d+", "", file.getvalue().decode("latin-1").lower())


@pytest.fixture
def original(make_map, tmp_path):
    """A function that returns the first image of a map of a scan that came as images."""

    def make(name="chi", header=None, **fields):
        report = {"provenance": {"scan": {"method": "images"}}, "warnings": ["3 lines are lost"]}
        volume = make_map(name, **{"report": report, **fields})
        return pydicom.dcmread(write_series(volume, header or planted(), tmp_path)[0])

    return make


def test_what_is_planted_is_in_the_image_as_it_was(original):
    found = encoded(original(report={}))
    assert [trace for trace in TRACES if trace not in found] == []
    assert found.count("plantname") >= 4


@pytest.mark.parametrize("report", [{}, {"provenance": {"scan": {"method": "images"}}}])
@pytest.mark.parametrize("name", ["chi", "magnitude", "mask", "swi_mip"])
def test_nothing_that_was_planted_is_left(original, name, report):
    found = encoded(deidentified(original(name, report=report), rules(), planted()))
    assert [trace for trace in TRACES if trace in found] == []


def test_with_every_option_names_numbers_and_places_of_the_patient_go_all_the_same(original):
    result = deidentified(original(report={}), rules(**KEEP), planted())
    gone = ("plantname", "plantid", "plantstudy", "plantdoctor", "plantmeas", "planthospital")
    found = encoded(result)
    assert [
        trace for trace in (*gone, "88442211", "19710330", "3680043.10") if trace in found
    ] == []


def test_the_options_retain_what_they_name(original):
    result = deidentified(original(), rules(**KEEP), planted())
    assert (result.StationName, result.DeviceSerialNumber) == ("PLANTSTATION", "PLANTSERIAL")
    assert (result.StudyDate, result.SeriesTime) == ("20260405", "121314.000000")
    assert (result.PatientSex, result.PatientWeight, result.PatientSize) == ("F", 71.25, 1.83)
    assert result.PatientAge == "055Y"
    assert result.PatientBirthDate == ""
    assert result.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_an_object_says_what_was_done_to_it(original):
    plain, kept = (deidentified(original(), r, planted()) for r in (rules(), rules(**KEEP)))
    assert plain.PatientIdentityRemoved == "YES"
    assert plain.LongitudinalTemporalInformationModified == "REMOVED"
    codes = [[i.CodeValue for i in d.DeidentificationMethodCodeSequence] for d in (plain, kept)]
    assert codes == [["113100", "113104", "113105"], ["113100", "113104", "113105", *RETAINED]]


@pytest.mark.parametrize(
    ("birth", "study", "age"),
    [
        ("19700131", "20260130", "055Y"),
        ("19700131", "20260131", "056Y"),
        ("19200101", "20260101", "090Y"),
        ("", "20260101", None),
        ("19700131", "", None),
        ("20270101", "20260101", None),
    ],
)
def test_an_age_is_in_whole_years_and_the_oldest_are_one(original, birth, study, age):
    dataset = original()
    dataset.PatientBirthDate, dataset.StudyDate = birth, study
    assert deidentified(dataset, rules(**KEEP), planted()).get("PatientAge") == age


def test_what_was_written_here_stays(original):
    before = original()
    after = deidentified(before, rules(), planted())
    assert after.ImageComments == before.ImageComments
    assert "3 lines are lost" in after.ImageComments
    assert after.DerivationDescription == before.DerivationDescription
    assert after.SeriesDescription == "QSM chi [ppb] RESEARCH"
    assert after.RealWorldValueMappingSequence == before.RealWorldValueMappingSequence
    assert after.PixelData == before.PixelData


def test_a_derivation_keeps_its_methods_and_loses_its_scan(original):
    report = {"provenance": {"background": {"method": "vsharp", "threshold": 0.05}}}
    before = original(report=report)
    assert "source scan: protocol gre, Plantname, measurement PLANTMEAS_1" in (
        before.DerivationDescription
    )
    after = deidentified(before, rules(), planted())
    assert after.DerivationDescription.endswith("0; background: vsharp (threshold=0.05)")


def test_a_derivation_that_stands_in_the_comments_loses_its_scan_too(original):
    dataset = original(report={})
    dataset.ImageComments += f" {dataset.DerivationDescription}"
    assert "plantname" in dataset.ImageComments.lower()
    assert "plant" not in encoded(deidentified(dataset, rules(), planted()))


def test_the_given_object_is_not_changed(original):
    dataset = original()
    before = encoded(dataset)
    deidentified(dataset, rules(), planted())
    assert encoded(dataset) == before


def test_references_between_objects_hold(original):
    chi, r2star = (deidentified(original(name), rules(), planted()) for name in ("chi", "r2star"))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyID"):
        assert chi[keyword].value == r2star[keyword].value
    assert chi.SeriesInstanceUID != r2star.SeriesInstanceUID
    assert chi.file_meta.MediaStorageSOPInstanceUID == chi.SOPInstanceUID
    source = original()
    source.SOPInstanceUID = "1.2.826.0.1.3680043.10.999.774"
    referred = deidentified(source, rules(), planted()).SOPInstanceUID
    assert chi.SourceImageSequence[0].ReferencedSOPInstanceUID == referred


def test_another_key_gives_other_stand_ins(original):
    one, other = (
        deidentified(original(), rules(key=key), planted()) for key in (KEY, f"{KEY} again")
    )
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "PatientID", "PatientName", "StudyID"):
        assert one[keyword].value != other[keyword].value
    for uid in (one.StudyInstanceUID, one.SOPInstanceUID):
        assert UID(uid).is_valid


def test_the_visits_of_a_patient_stay_together(original):
    first, second = original(), original()
    second.StudyInstanceUID = "1.2.3"
    visits = [deidentified(dataset, rules(), planted()) for dataset in (first, second)]
    assert visits[0].PatientID == visits[1].PatientID
    assert visits[0].StudyInstanceUID != visits[1].StudyInstanceUID
    second.PatientID = "another"
    assert deidentified(second, rules(), planted()).PatientID != visits[0].PatientID


def test_patients_without_an_id_are_told_apart_by_name_and_then_by_study(original):
    ids = []
    for name, study in (("A^B", "1.2.3"), ("A^B", "1.2.4"), ("A^C", "1.2.3"), ("", "1.2.3")):
        dataset = original()
        dataset.PatientID, dataset.PatientName, dataset.StudyInstanceUID = "", name, study
        ids.append(deidentified(dataset, rules(), planted()).PatientID)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_site_may_name_its_subjects(original):
    told = rules(patient_id="TRIAL-{user.Subject}", patient_name="{vendor}^{user.Nobody}")
    result = deidentified(original(), told, planted())
    assert result.PatientID == "TRIAL-S-4"
    assert str(result.PatientName).startswith("QSM^")


def test_the_key_may_stand_in_a_file(original, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    read = rules(key="", key_file=str(file))
    assert deidentified(original(), read, planted()) == deidentified(original(), rules(), planted())


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file"), ("short", "fewer than 16")]
)
def test_a_file_that_holds_no_key_is_one_line_that_does_not_quote_it(
    original, tmp_path, content, said
):
    file = tmp_path / "secretplace"
    if content:
        file.write_text(content)
    with pytest.raises(QsmError, match=said) as error:
        deidentified(original(), rules(key="", key_file=str(file)), planted())
    assert "secretplace" not in str(error.value)


def test_nothing_is_hashed_without_a_key(original):
    with pytest.raises(QsmError, match="fewer than 16 characters"):
        deidentified(original(), Settings().identity, planted())


def test_identifiers_of_coding_schemes_and_classes_are_nobodys(original):
    dataset = original()
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeUID = "SCT", "2.16.840.1.113883.6.96"
    dataset.CodingSchemeIdentificationSequence = [scheme]
    after = deidentified(dataset, rules(), planted())
    assert after.CodingSchemeIdentificationSequence == dataset.CodingSchemeIdentificationSequence
    assert after.SOPClassUID == dataset.SOPClassUID
    assert after.file_meta.ImplementationClassUID == dataset.file_meta.ImplementationClassUID


@pytest.mark.parametrize("uids", ["", ["1.2.3", "1.2.4"]])
def test_no_identifier_and_several_keep_their_number(original, uids):
    dataset = original()
    dataset.IrradiationEventUID = uids
    after = deidentified(dataset, rules(), planted())
    assert len(uids) == after["IrradiationEventUID"].VM


def test_private_attributes_and_those_of_the_sender_go(original):
    dataset = original()
    block = dataset.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(1, "LO", "Plantname")
    dataset.file_meta.SourceApplicationEntityTitle = "PLANTSTATION"
    found = encoded(deidentified(dataset, rules(), planted()))
    assert "plant" not in found
    assert "somebody" not in found


@pytest.mark.parametrize("options", [{}, KEEP], ids=["basic", "options"])
@pytest.mark.parametrize("name", MAPS)
def test_dciodvfy_finds_neither_error_nor_warning(original, program, tmp_path, name, options):
    data = np.random.default_rng(3).normal(0, 50, (5, 7, 6)).astype(np.float32)
    result = deidentified(original(name, data=data), rules(**options), planted())
    result.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    command = [program("dciodvfy"), str(tmp_path / "image.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).split() == ["MRImage"]


def test_dcentvfy_finds_the_objects_of_a_scan_consistent(make_map, program, tmp_path):
    paths = []
    for name in ("chi", "r2star"):
        for file in write_series(make_map(name), planted(), tmp_path):
            dataset = deidentified(pydicom.dcmread(file), rules(), planted())
            paths.append(str(tmp_path / f"{name}{file.name}"))
            dataset.save_as(paths[-1], enforce_file_format=True)
    command = [program("dcentvfy"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_an_empty_head_of_a_file_stays_empty(original):
    dataset = Dataset()
    dataset.update(original())
    assert not deidentified(dataset, rules(), planted()).file_meta
