"""Headers with and without identity, and small maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header

IDENTITY = """
<subjectInformation><patientName>{name}</patientName><patientWeight_kg>71.25</patientWeight_kg>
<patientID>P-17</patientID><patientBirthdate>1970-01-31</patientBirthdate>
<patientGender>F</patientGender></subjectInformation>
<studyInformation><studyDate>2026-01-02</studyDate><studyTime>03:04:05.25</studyTime>
<studyID>7</studyID><accessionNumber>42</accessionNumber>
<studyInstanceUID>1.2.826.0.1.3680043.10.999.5</studyInstanceUID></studyInformation>
<measurementInformation><seriesDate>2026-01-02</seriesDate><seriesTime>03:10:00</seriesTime>
<patientPosition>FFS</patientPosition><initialSeriesNumber>{number}</initialSeriesNumber>
<protocolName>gre_qsm</protocolName>
<frameOfReferenceUID>1.2.826.0.1.3680043.10.999.5.1</frameOfReferenceUID>
</measurementInformation>
<acquisitionSystemInformation><systemVendor>Vendor</systemVendor><systemModel>M3</systemModel>
<systemFieldStrength_T>3.0</systemFieldStrength_T></acquisitionSystemInformation>
"""

BARE = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">{identity}
<experimentalConditions><H1resonanceFrequency_Hz>123247935</H1resonanceFrequency_Hz>
</experimentalConditions>
<encoding><encodedSpace><matrixSize><x>12</x><y>7</y><z>5</z></matrixSize>
<fieldOfView_mm><x>24</x><y>14</y><z>10</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>6</x><y>7</y><z>5</z></matrixSize>
<fieldOfView_mm><x>12</x><y>14</y><z>10</z></fieldOfView_mm></reconSpace>
<encodingLimits>{limits}</encodingLimits><trajectory>cartesian</trajectory>{train}</encoding>
<sequenceParameters>{sequence}<TE>4.5</TE><TE>9.8</TE></sequenceParameters></ismrmrdHeader>
"""

REPETITIONS = "<repetition><minimum>0</minimum><maximum>{}</maximum><center>0</center></repetition>"


@pytest.fixture
def full_header() -> Callable[..., Header]:
    """Return a function that makes a header with patient, study and protocol."""

    def make(name: str = "Doe^Jane", number: int = 5, repetitions: int = 1) -> Header:
        return Header.parse(
            BARE.format(
                identity=IDENTITY.format(name=name, number=number),
                limits=REPETITIONS.format(repetitions - 1) if repetitions > 1 else "",
                train="<echoTrainLength>2</echoTrainLength>",
                sequence="<TR>31.5</TR>",
            )
        )

    return make


@pytest.fixture
def header(full_header: Callable[..., Header]) -> Header:
    return full_header()


@pytest.fixture
def bare_header() -> Header:
    """What a converter leaves that fills in nothing but the encoding."""
    return Header.parse(BARE.format(identity="", train="", sequence="", limits=""))


@pytest.fixture
def header_2d() -> Header:
    """Slices of 2 mm, one by one; what lies between them their positions say."""
    text = BARE.replace("<z>5</z>", "<z>1</z>").replace("<z>10</z>", "<z>2</z>")
    return Header.parse(text.format(identity="", train="", sequence="", limits=""))


@pytest.fixture
def geometry() -> Geometry:
    return Geometry((5, 7, 6), (2.5, 1.25, 1.5), (3, -12, 20), (1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.fixture
def make_map(geometry: Geometry) -> Callable[..., Map]:
    """Return a function that makes a map of any kind, zero unless data is given."""

    def make(name: str = "chi", **fields: Any) -> Map:
        where = fields.setdefault("geometry", geometry)
        fields.setdefault("data", np.zeros(where.matrix, np.float32))
        fields.setdefault("unit", MAPS[name].unit)
        return Map(name=name, **fields)

    return make


@pytest.fixture(params=[*MAPS, "total_field in Hz", "local_field in Hz"])
def noisy_map(request: pytest.FixtureRequest, make_map: Callable[..., Map]) -> Map:
    """A map of every kind and unit, with warnings beyond ASCII, of one echo where it can be."""
    name, _, unit = request.param.partition(" in ")
    fields: dict[str, Any] = {"unit": unit} if unit else {}
    if name in ("magnitude", "phase"):
        fields |= {"echo": 1, "echo_time_s": 0.0098}
    data = np.random.default_rng(2).normal(0, 50, (5, 7, 6)).astype(np.float32)
    made = {"fit": {"method": "weighted"}, "reference": {"region": "whole brain"}}
    report = {"provenance": made, "warnings": ["3 of 40 µ lines lost"]}
    return make_map(name, data=data, report=report, **fields)
