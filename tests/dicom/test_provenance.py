from __future__ import annotations

import subprocess

import numpy as np
import pytest
from pydicom import Dataset

from gadgetron_qsm.dicom.pixels import quantise
from gadgetron_qsm.dicom.provenance import (
    add_provenance,
    comments,
    derivation,
    scan_clause,
    without_scan,
)
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import provenance as told
from tests.dicom.conftest import BARE
from tests.written import write_series

NOTHING_LOST = quantise(np.zeros(1))
IMAGES = {"provenance": {"scan": {"method": "images"}}}
READOUTS = {"provenance": {"scan": {"method": "readouts"}}}
FULL = """<measurementInformation><measurementID>71_1402_397</measurementID>
<patientPosition>HFS</patientPosition><protocolName>gre; 3D</protocolName><referencedImageSequence>
<referencedSOPInstanceUID>1.2.3.4</referencedSOPInstanceUID>
<referencedSOPInstanceUID>none</referencedSOPInstanceUID>
<referencedSOPInstanceUID>1.2.3.5</referencedSOPInstanceUID></referencedImageSequence>
</measurementInformation><acquisitionSystemInformation><systemVendor>Vendor</systemVendor>
<systemModel>M3</systemModel><institutionName>Hospital</institutionName>
<stationName>MR1</stationName><deviceSerialNumber>1234</deviceSerialNumber>
</acquisitionSystemInformation>"""


@pytest.fixture
def full() -> Header:
    return Header.parse(BARE.format(identity=FULL, train="", sequence="", limits=""))


def recorded(volume, header):
    dataset = Dataset()
    add_provenance(dataset, volume, NOTHING_LOST, header)
    return dataset


def test_the_derivation_names_each_method_with_its_parameters_in_order():
    line = derivation(
        {
            "unwrapping": {"method": "romeo", "source": "doi:10.1002/mrm.28563"},
            "background": {"method": "vsharp", "threshold": 0.05},
        }
    )
    assert line.endswith("; unwrapping: romeo; background: vsharp (threshold=0.05)")


def test_a_derivation_that_is_too_long_keeps_the_methods_and_drops_the_parameters():
    stage = {"method": "vsharp", "radii_mm": "9" * 100}
    line = derivation({f"stage{i}": stage for i in range(20)})
    assert len(line) <= 1024
    assert "stage19: vsharp" in line


def test_a_derivation_that_is_too_long_loses_first_what_has_its_default():
    settings = Settings.from_properties({"background.threshold": "0.07"})
    stages = {"background": told(settings.background), "coils": {"method": "x", "of": "9" * 950}}
    line = derivation(stages)
    assert line.endswith(f"background: vsharp (threshold=0.07); coils: x (of={'9' * 950})")
    short = derivation({"background": stages["background"]})
    assert "largest_radius_mm" in short


def test_defaults_that_came_as_json_are_defaults_too():
    stage = {"method": "vsharp", "threshold": 0.05}
    assert "threshold" not in derivation({"background": stage, "x": {"method": "9" * 1000}})


@pytest.mark.parametrize("stage", [{"method": "no such"}, {"method": "vsharp", "unknown": 1}])
def test_stages_that_no_table_has_keep_their_parameters(stage):
    rest = {"x": {"method": "9" * 900, "of": 1}}
    assert derivation({"background": stage, **rest}).endswith("(of=1)")


def test_a_scan_of_readouts_is_named_and_can_be_taken_out_again(make_map, full):
    line = recorded(make_map(report=READOUTS), full).DerivationDescription
    assert "; source scan: protocol gre, 3D, measurement 71_1402_397; scan: readouts" in line
    assert without_scan(line) == derivation(READOUTS["provenance"])


def test_a_scan_without_a_name_is_not_named(make_map, bare_header):
    assert scan_clause(bare_header) == ""
    assert "source scan" not in recorded(make_map(), bare_header).DerivationDescription


def test_a_scan_that_came_as_images_refers_to_them(make_map, full):
    dataset = recorded(make_map(report=IMAGES), full)
    items = dataset.SourceImageSequence
    assert [item.ReferencedSOPInstanceUID for item in items] == ["1.2.3.4", "1.2.3.5"]
    assert {i.PurposeOfReferenceCodeSequence[0].CodeValue for i in items} == {"121322"}
    assert "source scan" not in dataset.DerivationDescription


def test_the_images_that_readouts_were_planned_on_are_no_source(make_map, full):
    assert "SourceImageSequence" not in recorded(make_map(report=READOUTS), full)


def test_images_without_references_are_named_by_their_scan(make_map, header):
    dataset = recorded(make_map(report=IMAGES), header)
    assert "SourceImageSequence" not in dataset
    assert "source scan: protocol gre_qsm" in dataset.DerivationDescription


def test_software_and_scanner_contributed(make_map, full):
    software, scanner = recorded(make_map(), full).ContributingEquipmentSequence
    purposes = [i.PurposeOfReferenceCodeSequence[0].CodeValue for i in (software, scanner)]
    assert purposes == ["109102", "109101"]
    assert software.Manufacturer == "gadgetron-qsm"
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("Vendor", "M3")
    assert (scanner.StationName, scanner.DeviceSerialNumber) == ("MR1", "1234")
    assert scanner.InstitutionName == "Hospital"


def test_a_scanner_that_nobody_named_did_not_contribute(make_map, bare_header):
    assert len(recorded(make_map(), bare_header).ContributingEquipmentSequence) == 1


@pytest.mark.parametrize(
    ("name", "code"), [("mask", "113076"), ("swi", "113053"), ("swi_mip", "113079")]
)
def test_maps_that_a_code_describes_have_it(make_map, header, name, code):
    dataset = recorded(make_map(name), header)
    assert dataset.DerivationCodeSequence[0].CodeValue == code
    assert "DerivationCodeSequence" not in recorded(make_map("chi"), header)


def test_a_comment_says_what_the_reference_reads(make_map):
    reference = {"region": "CSF", "mean_ppb": -12.34, "sd_ppb": 5.06, "volume_ml": 8.0}
    report = {"quality": {"reference": reference}}
    said = "Reference region: CSF, mean -12.3 ppb and SD 5.1 ppb relative to whole brain, 8.0 ml."
    assert said in comments(make_map(report=report), NOTHING_LOST)
    assert "Reference region" not in comments(make_map("r2star", report=report), NOTHING_LOST)


def test_a_comment_names_the_preset(make_map):
    volume = make_map("r2star", report={"provenance": {"preset": {"method": "fast"}}})
    assert comments(volume, NOTHING_LOST).endswith("Preset fast.")


@pytest.mark.parametrize("report", [IMAGES, READOUTS], ids=["images", "readouts"])
@pytest.mark.parametrize("name", ["chi", "mask", "swi", "swi_mip"])
def test_dciodvfy_finds_nothing_wrong_with_sources_scanner_and_code(
    make_map, header, full, program, tmp_path, name, report
):
    header.document.measurementInformation = full.document.measurementInformation
    header.document.acquisitionSystemInformation = full.document.acquisitionSystemInformation
    file = write_series(make_map(name, report=report), header, tmp_path)[0]
    command = [program("dciodvfy"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).split() == ["MRImage"]


def test_a_comment_says_unit_reference_and_use(make_map):
    volume = make_map(report={"provenance": {"reference": {"region": "the mean of the mask"}}})
    assert comments(volume, NOTHING_LOST) == (
        "Magnetic susceptibility in ppb, relative to the mean of the mask. "
        "Research use; not for clinical use."
    )


def test_a_reference_region_that_nobody_recorded_is_not_invented(make_map):
    assert "relative to a region that was not recorded" in comments(make_map(), NOTHING_LOST)


def test_warnings_of_the_run_travel_in_the_image(make_map):
    volume = make_map("r2star", report={"warnings": ["no noise scan"]})
    assert comments(volume, NOTHING_LOST).endswith("Warning: no noise scan.")
