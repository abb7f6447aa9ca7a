from __future__ import annotations

import json

import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measurement.about import about, acquired, age_years, patient
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.outgoing_sections import IdentitySettings
from gadgetron_qsm.report.plain import plain
from tests.sphere_scan import header_text

GRID = Geometry((2, 3, 4), (2.0, 1.0, 1.0), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
OPEN = IdentitySettings()
CLOSED = IdentitySettings(deidentify=True, key="a secret of this site alone")
SUBJECT = (
    "<subjectInformation><patientName>Doe^Jane</patientName><patientID>{id}</patientID>"
    "<patientBirthdate>1960-11-05</patientBirthdate></subjectInformation>"
    "<studyInformation><studyDate>2026-11-05</studyDate><studyTime>09:30:00</studyTime>"
    "</studyInformation>"
)
REPORT = {
    "provenance": {
        "scan": {"method": "acquisitions", "measurement_uid": 7, "first_time_stamp": 123456},
        "inversion": {"method": "tv"},
    },
    "quality": {"reference": {"region": "whole brain"}},
}


def header(of="P-17"):
    before = "<experimentalConditions>"
    return Header.parse(header_text().replace(before, SUBJECT.format(id=of) + before))


def told(given=None, rules=OPEN):
    chi = Map("chi", np.zeros(GRID.matrix, np.float32), "ppb", GRID, report=REPORT)
    return about(chi, given or header(), rules)


@pytest.mark.parametrize("rules", [OPEN, CLOSED])
def test_a_patient_has_one_stand_in_at_each_visit_and_no_other_patient_has_it(rules):
    assert patient(header(), rules) == patient(header(), rules)
    assert patient(header(), rules) != patient(header("P-18"), rules)
    assert len(patient(header(), rules)) == 16


def test_a_secret_changes_the_stand_in():
    assert patient(header(), OPEN) != patient(header(), CLOSED)


def test_a_patient_without_id_and_name_has_none():
    assert patient(Header.parse(header_text()), OPEN) is None


@pytest.mark.parametrize("rules", [OPEN, CLOSED])
def test_neither_name_nor_id_nor_birth_nor_time_of_day_is_told(rules):
    text = json.dumps(plain(told(rules=rules)))
    assert not [word for word in ("Doe", "P-17", "1960", "123456") if word in text]


def test_what_visits_are_compared_by_is_told():
    content = told()
    assert content["acquired"] == "2026-11-05T09:30:00"
    assert content["scan"]["voxel_size_mm"] == (2.0, 1.0, 1.0)
    assert content["scan"]["field_strength_t"] == pytest.approx(3, abs=0.2)
    assert content["methods"] == {"inversion": {"method": "tv"}}
    assert content["reference"] == {"region": "whole brain"}


def test_a_day_is_not_told_where_dates_must_go():
    assert told(rules=CLOSED)["acquired"] is None
    keeps = CLOSED.model_copy(update={"keep_dates": True})
    assert told(rules=keeps)["acquired"] == "2026-11-05T09:30:00"


def test_age_is_that_at_the_scan():
    assert age_years(header()) == pytest.approx(66, abs=0.01)
    assert age_years(Header.parse(header_text())) is None
    assert acquired(Header.parse(header_text())) is None
