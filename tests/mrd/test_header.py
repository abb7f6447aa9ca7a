from __future__ import annotations

import numpy as np
import pytest
from ismrmrd.xsd.ismrmrdschema.ismrmrd import patientPositionType

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header, Limit, fingerprint
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER


def test_the_header_is_in_seconds_hertz_and_z_y_x(header_text):
    header = Header.parse(header_text(te_ms=(5, 10, 15.5)))
    assert header.echo_times_s == (0.005, 0.01, 0.0155)
    assert header.larmor_hz == 127732435
    assert header.field_strength_t == pytest.approx(3, abs=1e-4)
    assert (header.encoded_matrix, header.encoded_fov_mm) == ((4, 6, 16), (16, 18, 32))
    assert (header.recon_matrix, header.recon_fov_mm) == ((4, 6, 8), (16, 18, 16))
    assert header.limits["kspace_encode_step_1"] == Limit(0, 5, 3)
    assert "kspace_encode_step_2" not in header.limits


def test_a_nul_behind_the_header_does_not_matter(header_text):
    assert Header.parse(header_text() + "\0").recon_matrix == (4, 6, 8)


def test_the_geometry_is_that_of_the_readout(header_text):
    head = np.zeros((), ACQUISITION_HEADER)
    head["position"] = 1, 2, 3
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.roll(np.eye(3), 1, axis=1)
    geometry = Header.parse(header_text()).geometry(head)
    assert geometry.voxel_size == (4, 3, 2)
    assert geometry.position == (1, 2, 3)
    assert (geometry.read_dir, geometry.slice_dir) == ((0, 1, 0), (1, 0, 0))
    assert geometry.b0_direction == (0, 1, 0)


def test_the_geometry_of_an_image_may_be_its_own(header_text):
    head = np.zeros((), ACQUISITION_HEADER)
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    geometry = Header.parse(header_text()).geometry(head, (2, 4, 8), (2, 8, 32))
    assert (geometry.matrix, geometry.voxel_size) == ((2, 4, 8), (1, 2, 4))


def test_directions_that_nobody_filled_in_are_refused(header_text):
    with pytest.raises(QsmError, match="not orthogonal"):
        Header.parse(header_text()).geometry(np.zeros((), ACQUISITION_HEADER))


@pytest.mark.parametrize("position", [(np.nan, 0, 0), (0, 0, np.inf)])
def test_a_position_that_is_no_number_is_refused(header_text, position):
    head = np.zeros((), ACQUISITION_HEADER)
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    head["position"] = position
    with pytest.raises(QsmError, match="position in the data is not finite"):
        Header.parse(header_text()).geometry(head)


def lying(header_text, term):
    measurement = f"<measurementInformation><patientPosition>{term}</patientPosition>"
    before = "<experimentalConditions>"
    text = header_text().replace(before, f"{measurement}</measurementInformation>{before}")
    return Header.parse(text)


@pytest.mark.parametrize("term", [position.value for position in patientPositionType])
def test_every_position_that_mrd_knows_is_dicoms_and_leaves_the_geometry_alone(header_text, term):
    header, head = lying(header_text, term), np.zeros((), ACQUISITION_HEADER)
    assert header.patient_position == term
    head["position"] = 1, 2, 3
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.roll(np.eye(3), 1, axis=1)
    assert header.geometry(head) == Header.parse(header_text()).geometry(head)


def test_without_a_position_there_is_none(header_text):
    assert Header.parse(header_text()).patient_position == ""


@pytest.mark.parametrize(("written", "term"), [("hfs ", "HFS"), ("upside down", ""), ("", "")])
def test_a_position_that_mrd_does_not_know_is_dicoms_or_none(header_text, written, term):
    assert lying(header_text, written).patient_position == term


def test_a_patient_across_the_bore_is_refused(header_text):
    with pytest.raises(QsmError, match=r"across the bore \(patientPosition LFS\)"):
        lying(header_text, "LFS")


def test_without_imaging_frequency_the_nominal_field_counts(header_text):
    system = (
        "<acquisitionSystemInformation><systemFieldStrength_T>7</systemFieldStrength_T>"
        "</acquisitionSystemInformation><experimentalConditions>"
    )
    text = header_text(larmor_hz=0).replace("<experimentalConditions>", system)
    assert Header.parse(text).larmor_hz == pytest.approx(298.04e6, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"te_ms": (), "last_contrast": 0}, "no echo times"),
        ({"te_ms": (0.005, -0.01)}, "must be in ms"),
        ({"te_ms": (5, 5, 10)}, "must increase"),
        ({"te_ms": (5000, 10000)}, "must be in ms"),
        ({"te_ms": (0.005, 0.01, 0.015)}, "must be in ms"),
        ({"last_contrast": 4}, "3 echo times but 5 contrasts"),
        ({"trajectory": "spiral"}, "'spiral' is not supported"),
        ({"te_ms": (5, "nan", 15)}, "must increase"),
        ({"te_ms": ("nan", 10)}, "must increase"),
        ({"te_ms": tuple(range(1, 40))[::-1]}, r"echo times \[39.0, .*, 32.0, ...\] are wrong"),
        ({"larmor_hz": 0}, "no field strength"),
        ({"larmor_hz": 123.2}, "H1resonanceFrequency_Hz of 123.2; correct it, in Hz"),
        ({"larmor_hz": "inf"}, "H1resonanceFrequency_Hz of inf"),
        ({"larmor_hz": -1}, "H1resonanceFrequency_Hz of -1"),
        ({"z": 65536}, "x 65536; at most 16384 along an axis are accepted"),
        ({"last_slice": 65536}, "65536 as encodingLimits.slice.maximum, not from 0 to 65535"),
        ({"last_slice": -1}, "-1 as encodingLimits.slice.maximum"),
        ({"fov_z": "nan"}, "matrix or field of view"),
        ({"fov_z": 1e-308}, "no such voxels can be"),
        ({"fov_z": 1e9}, "no such voxels can be"),
        ({"z": 0}, "matrix or field of view"),
        ({"fov_z": -1}, "matrix or field of view"),
    ],
)
def test_a_header_that_no_map_can_come_from_is_refused(header_text, changes, what):
    with pytest.raises(QsmError, match=what) as refused:
        Header.parse(header_text(**changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not XML",
        '<?xml version="1.0" encoding="UTB-8"?><a/>',
        "<ismrmrdHeader>",
        "<configuration/>",
    ],
)
def test_what_is_no_header_is_refused_in_one_line(text):
    with pytest.raises(QsmError, match="MRD header") as refused:
        Header.parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["client_gadgetron", "client_python_ismrmrd_server", "server_images_r2"]
)
def test_the_headers_of_real_peers_are_read(recorded, name):
    stream = recorded(name)
    start, end = stream.index(b"<ismrmrdHeader"), stream.index(b"</ismrmrdHeader>") + 16
    header = Header.parse(stream[start:end].decode())
    assert header.echo_times_s == (0.005, 0.01, 0.015)
    assert header.larmor_hz == 127732435
    assert (header.encoded_matrix, header.recon_matrix) == ((22, 28, 44), (22, 28, 22))
    assert header.limits["kspace_encode_step_2"] == Limit(0, 21, 11)


def test_a_value_that_cannot_be_read_is_not_told_to_the_log(header_text):
    subject = (
        "<subjectInformation><patientBirthdate>3 May 61</patientBirthdate></subjectInformation>"
    )
    text = header_text().replace("<encoding>", f"{subject}<encoding>", 1)
    assert Header.parse(text).echo_times_s  # a warning of the XML library would be an error here


def test_a_frequency_that_was_not_written_as_a_whole_number_is_read(header_text):
    assert Header.parse(header_text(larmor_hz="61600000.5")).larmor_hz == 61600000.5


@pytest.mark.parametrize(
    "changes", [{"larmor_hz": "abc"}, {"z": "four"}, {"te_ms": ("x",)}, {"last_slice": "x"}]
)
def test_a_text_where_a_number_must_be_is_refused(header_text, changes):
    with pytest.raises(QsmError, match="a text where a number must be"):
        Header.parse(header_text(**changes))


def test_a_table_that_was_not_moved_is_no_part_of_the_fingerprint(make_acquisition):
    head = make_acquisition().head
    head["patient_table_position"] = 0, 0, -1210
    assert fingerprint(head, "readouts")["table_position_mm"] == [0, 0, -1210]
    head["patient_table_position"] = np.nan, 0, np.inf
    assert set(fingerprint(head, "readouts")) == {"method", "measurement_uid", "first_time_stamp"}
