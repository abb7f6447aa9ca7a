"""MRD headers and images without whose they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.anonymous import anonymous_header, anonymous_image
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map, map_to_image
from tests.report.conftest import PRIVATE, REPORT, SECRETS, USER
from tests.sphere_scan import header_text

TEXT = header_text().replace("<experimentalConditions>", f"{PRIVATE}<experimentalConditions>")
TEXT = TEXT.replace("</ismrmrdHeader>", f"{USER}</ismrmrdHeader>")


def test_a_header_keeps_the_scan_and_loses_the_patient():
    given = Header.parse(TEXT)
    text = anonymous_header(given)
    assert not [secret for secret in SECRETS if secret in text]
    left = Header.parse(text)
    assert left.patient_position == "HFS"
    for field in ("echo_times_s", "larmor_hz", "recon_matrix", "recon_fov_mm", "limits"):
        assert getattr(left, field) == getattr(given, field)


def test_a_header_with_nothing_to_lose_stays_one():
    assert Header.parse(anonymous_header(Header.parse(header_text()))).patient_position == ""


def test_an_image_keeps_its_map_and_loses_the_time():
    geometry = Geometry((2, 4, 4), (1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    volume = Map("chi", np.ones((2, 4, 4), np.float32), "ppb", geometry, report=REPORT)
    given = map_to_image(volume, 1)
    assert "40520005" in given.meta
    assert given.head["acquisition_time_stamp"] == 40520005
    image = anonymous_image(given)
    assert "40520005" not in image.meta
    assert image.head["acquisition_time_stamp"] == 0
    left = image_to_map(image)
    scan = {"method": "readouts", "measurement_uid": 271828}
    report = {**REPORT, "provenance": {**REPORT["provenance"], "scan": scan}}
    assert left.report == report
    np.testing.assert_array_equal(left.data, volume.data)
    assert dataclasses.replace(left, data=None, report={}) == dataclasses.replace(
        volume, data=None, report={}
    )
