"""Objects other than classic images, made with highdicom, without the patient's identity."""

from __future__ import annotations

import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes

from gadgetron_qsm.dicom.deidentify import deidentified
from gadgetron_qsm.dicom.forms import FORMS, objects
from gadgetron_qsm.dicom.identity import stable_uid
from gadgetron_qsm.dicom.region_objects import region_objects
from tests.dicom.region_scene import chi_of, images_of, regions_in, slab
from tests.dicom.test_deidentify import KEEP, TRACES, encoded, planted, rules
from tests.written import write_series

# The oldest highdicom wants the window so, the newest says to give it otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Arguments 'window_center'")

MADE_BY = {
    "manufacturer": "gadgetron-qsm",
    "manufacturer_model_name": "gadgetron-qsm",
    "software_versions": "0",
    "device_serial_number": "PLANTSERIAL",
}
BRAIN = CodedConcept("12738006", "SCT", "Brain")
ANATOMY = CodedConcept("123037004", "SCT", "Anatomical Structure")


@pytest.fixture
def sources(make_map, tmp_path):
    files = write_series(make_map(), planted(), tmp_path / "sources")
    return [pydicom.dcmread(file) for file in files]


def identifiers(number):
    return {
        "series_instance_uid": stable_uid("series", str(number)),
        "series_number": number,
        "sop_instance_uid": stable_uid("instance", str(number)),
        "instance_number": 1,
    }


def segmentation(sources):
    described = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Brain mask",
        segmented_property_category=ANATOMY,
        segmented_property_type=BRAIN,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="bet", family=codes.DCM.ArtificialIntelligence, version="0"
        ),
    )
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.ones((5, 7, 6), bool),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[described],
        content_creator_name="Plantname^Planta",
        **identifiers(16),
        **MADE_BY,
    )


def parametric(sources):
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="QSM",
        lut_explanation="Magnetic susceptibility",
        unit=CodedConcept("[ppb]", "UCUM", "ppb"),
        value_range=(-1e6, 1e6),
        slope=1,
        intercept=0,
    )
    return hd.pm.ParametricMap(
        source_images=sources,
        pixel_array=np.zeros((5, 7, 6), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=0,
        window_width=400,
        content_qualification="RESEARCH",
        content_creator_name="Plantname^Planta",
        **identifiers(18),
        **MADE_BY,
    )


def report(sources):
    person = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(
            name="Plantdoctor^P", organization_name="Planthospital"
        ),
    )
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=stable_uid("device"),
            name="gadgetron-qsm",
            serial_number="PLANTSERIAL",
            physical_location="Planthospital",
        ),
    )
    mean = hd.sr.Measurement(
        name=CodedConcept("126396", "DCM", "Magnetic Susceptibility"),
        value=12.5,
        unit=CodedConcept("[ppb]", "UCUM", "ppb"),
        derivation=codes.SCT.Mean,
    )
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=stable_uid("tracking"), identifier="Brain"
        ),
        measurements=[mean],
        source_images=[
            hd.sr.SourceImageForMeasurementGroup(s.SOPClassUID, s.SOPInstanceUID) for s in sources
        ],
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_person_context=person,
            observer_device_context=device,
        ),
        procedure_reported=CodedConcept("24590-2", "LN", "MR Brain"),
        imaging_measurements=[group],
    )
    return hd.sr.Comprehensive3DSR(
        evidence=sources,
        content=content[0],
        institution_name="Planthospital",
        is_complete=True,
        **identifiers(17),
        manufacturer="gadgetron-qsm",
    )


@pytest.mark.parametrize("make", [segmentation, parametric, report])
def test_nothing_that_was_planted_is_left(sources, make):
    before = make(sources)
    assert "plantname" in encoded(before)
    found = encoded(deidentified(before, rules(), planted()))
    assert [trace for trace in TRACES if trace in found] == []


@pytest.mark.parametrize("options", [{}, KEEP], ids=["basic", "options"])
@pytest.mark.parametrize("make", [segmentation, parametric, report])
def test_dciodvfy_finds_no_error_that_was_not_there_before(
    sources, make, options, program, tmp_path
):
    before = make(sources)
    after = deidentified(before, rules(**options), planted())

    dciodvfy = program("dciodvfy")
    assert errors(dciodvfy, after, tmp_path) <= errors(dciodvfy, before, tmp_path)


def errors(dciodvfy, dataset, folder):
    return {line for line in findings(dciodvfy, dataset, folder) if line.startswith("Error")}


def findings(dciodvfy, dataset, folder):
    dataset.save_as(folder / "object.dcm", enforce_file_format=True)
    command = [dciodvfy, str(folder / "object.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set((done.stdout + done.stderr).splitlines())


@pytest.mark.parametrize("make", [segmentation, parametric, report])
def test_references_lead_to_the_sources(sources, make):
    after = deidentified(make(sources), rules(), planted())
    images = {deidentified(s, rules(), planted()).SOPInstanceUID for s in sources}
    text = str(after)
    assert all(uid in text for uid in images)
    assert after.StudyInstanceUID == deidentified(sources[0], rules(), planted()).StudyInstanceUID


@pytest.mark.parametrize("scan", ["images", "readouts"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_map_loses_the_patient_and_stays_lawful(
    make_map, form, scan, program, tmp_path
):
    volume = make_map(report={"provenance": {"scan": {"method": scan}}})
    before = next(iter(objects(volume, planted(), form)))
    assert "plantname" in encoded(before)
    after = deidentified(before, rules(), planted())
    assert [trace for trace in TRACES if trace in encoded(after)] == []
    dciodvfy = program("dciodvfy")
    assert findings(dciodvfy, after, tmp_path) == findings(dciodvfy, before, tmp_path)


def test_our_regions_and_their_report_lose_the_patient_and_keep_their_images(program, tmp_path):
    chi = chi_of(slab())
    images = images_of(chi, planted(), tmp_path / "chi")
    regions = regions_in(chi.geometry)
    asked = {"segmentation": True, "measurements": True}
    made = list(region_objects(chi, regions, images, planted(), **asked))
    cleaned = [deidentified(dataset, rules(), planted()) for dataset in made]
    image = deidentified(images[0], rules(), planted())
    for before, after in zip(made, cleaned, strict=True):
        assert [trace for trace in TRACES if trace in encoded(after)] == []
        assert image.SOPInstanceUID in str(after)
        assert after.PatientID == image.PatientID
        told = after.DeidentificationMethodCodeSequence, image.DeidentificationMethodCodeSequence
        assert told[0] == told[1]  # of the patient, for whom all objects say the same
        found = errors(program("dciodvfy"), after, tmp_path)
        assert found <= errors(program("dciodvfy"), before, tmp_path)
    assert cleaned[0].SOPInstanceUID in str(cleaned[1])


@pytest.mark.parametrize(("options", "left"), [({}, 0), (KEEP, 2)], ids=["basic", "options"])
def test_items_about_the_patient_leave_a_report(options, left):
    before = pydicom.Dataset()
    before.StudyInstanceUID = "1.2.3"
    about = {"121029": "Plantname", "121030": "PLANTID77", "121031": "19710330"}
    about |= {"121032": "sex", "121033": "age"}
    before.ContentSequence = [subject_item(code, value) for code, value in about.items()]
    after = deidentified(before, rules(**options), planted())
    assert [item.TextValue for item in after.ContentSequence] == ["sex", "age"][:left]


def subject_item(code, value):
    item = pydicom.Dataset()
    item.ValueType, item.TextValue = "TEXT", value
    item.ConceptNameCodeSequence = [CodedConcept(code, "DCM", "about the patient")]
    return item


def test_a_report_keeps_what_was_measured(sources):
    after = deidentified(report(sources), rules(), planted())
    text = encoded(after)
    assert "magnetic susceptibility" in text
    assert "12.5" in text
    assert "brain" in text
