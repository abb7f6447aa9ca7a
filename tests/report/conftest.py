"""A scan with much that must not be told, and maps of it."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from tests.sphere_scan import header_text

SHAPE = (8, 20, 16)
PRIVATE = """<subjectInformation><patientName>Zaphod^Beeble</patientName>
<patientWeight_kg>77.125</patientWeight_kg><patientID>PID4711</patientID>
<patientBirthdate>1954-03-07</patientBirthdate><patientGender>F</patientGender>
</subjectInformation><studyInformation><studyDate>2031-05-17</studyDate>
<studyTime>13:57:09</studyTime><studyID>STUDY88</studyID>
<accessionNumber>990133577</accessionNumber>
<referringPhysicianName>Marvin^Paranoid</referringPhysicianName>
<studyDescription>Followup of Beeble</studyDescription>
<studyInstanceUID>1.2.3.4.5.66</studyInstanceUID></studyInformation>
<measurementInformation><measurementID>167001_PID4711_STUDY88_31</measurementID>
<seriesDate>2031-05-17</seriesDate><seriesTime>14:01:22</seriesTime>
<patientPosition>HFS</patientPosition><protocolName>gre for Beeble</protocolName>
<sequenceName>%SiemensSeq%\\gre</sequenceName><seriesDescription>Beeble brain</seriesDescription>
<seriesInstanceUIDRoot>1.2.3.4.5.77</seriesInstanceUIDRoot>
<frameOfReferenceUID>1.2.3.4.5.88</frameOfReferenceUID>
<referencedImageSequence><referencedSOPInstanceUID>1.2.3.4.5.99</referencedSOPInstanceUID>
</referencedImageSequence></measurementInformation>
<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor>
<systemModel>Prisma</systemModel><systemFieldStrength_T>3</systemFieldStrength_T>
<receiverChannels>2</receiverChannels>
<coilLabel><coilNumber>0</coilNumber><coilName>HC1</coilName></coilLabel>
<coilLabel><coilNumber>1</coilNumber><coilName>HC2</coilName></coilLabel>
<institutionName>Magrathea Hospital</institutionName><stationName>MRSTATION9</stationName>
<deviceID>DEV167</deviceID><deviceSerialNumber>SN167001</deviceSerialNumber>
</acquisitionSystemInformation>"""
USER = """<userParameters><userParameterString><name>tPatientName</name>
<value>Beeble</value></userParameterString></userParameters>"""
SECRETS = (
    "Zaphod", "Beeble", "77.125", "PID4711", "1954", "2031-05-17", "20310517", "13:57", "135709",
    "14:01", "140122", "STUDY88", "990133577", "Marvin", "Paranoid", "Followup", "167001",
    "1.2.3.4.5", "Magrathea", "MRSTATION9", "DEV167", "40520005", "gre for",
)  # fmt: skip
PARAMETERS = "<TR>32</TR><flipAngle_deg>12</flipAngle_deg><sequence_type>Flash</sequence_type>"

REPORT = {
    "provenance": {
        "scan": {"method": "readouts", "measurement_uid": 271828, "first_time_stamp": 40520005},
        "kspace": {"method": "centred FFT", "noise_whitened": True, "coil_compression": "none"},
        "field": {"method": "romeo", "offset": False, "largest_misfit_rad": 0.3},
        "mask": {"method": "bet"},
        "inversion": {"method": "ss_tv", "regularisation": 1.5e-05, "iterations": 30},
        "reference": {"method": "mean", "region": "whole brain"},
    },
    "timing_s": {"ingest": 1.5, "inversion": 2.25},
    "quality": {
        "reference": {"region": "whole brain", "mean_ppb": 0.0, "sd_ppb": 25.1481},
        "phase_residual_rad": 0.0222,
    },
    "warnings": ["no noise scan"],
}


@pytest.fixture(scope="session")
def secrets():
    """Texts of the header, and of its readouts, that nobody may read in a report."""
    return SECRETS


@pytest.fixture(scope="session")
def private_header():
    """Return the header of the sphere's scan with all that a scanner may add to it."""
    text = header_text()
    text = text.replace("<experimentalConditions>", f"{PRIVATE}<experimentalConditions>")
    text = text.replace("<sequenceParameters>", f"<sequenceParameters>{PARAMETERS}")
    return Header.parse(text.replace("</ismrmrdHeader>", f"{USER}</ismrmrdHeader>"))


@pytest.fixture(scope="session")
def report():
    """What was done to the scan."""
    return REPORT


@pytest.fixture
def make_map():
    """Return a function that makes a map of a small axial volume, 0 by default."""
    geometry = Geometry(SHAPE, (4.0, 1.0, 2.0), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))

    def make(name: str, data=None, **of) -> Map:
        data = np.zeros(SHAPE, np.float32) if data is None else data
        return Map(name, data, MAPS[name].unit, geometry, **of)

    return make


@pytest.fixture
def maps(make_map):
    """The maps that a report shows."""
    rng = np.random.default_rng(6)
    mask = np.zeros(SHAPE, np.float32)
    mask[2:6, 4:16, 4:12] = 1

    def made(name: str, scale: float, **of) -> Map:
        return make_map(name, rng.normal(0, scale, SHAPE).astype(np.float32), report=REPORT, **of)

    return [
        made("chi", 80),
        made("total_field", 300),
        made("local_field", 20),
        make_map("mask", mask, report=REPORT),
        made("magnitude", 500, echo=0, echo_time_s=0.005),
        made("magnitude", 100, echo=1, echo_time_s=0.010),
    ]
