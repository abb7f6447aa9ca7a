"""MRD version 2, written by its own package, is read as version 1; our images are written as it."""

from __future__ import annotations

import datetime
import sys
from contextlib import suppress
from io import BytesIO

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd import version2
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition
from gadgetron_qsm.mrd.raw import opened
from gadgetron_qsm.mrd.version2_header import anonymous
from gadgetron_qsm.mrd.wire import image_head
from tests.mrd.of_version_2 import mrd, of_version_2


def header():
    space = mrd.EncodingSpaceType(
        matrix_size=mrd.MatrixSizeType(x=16, y=6, z=4),
        field_of_view_mm=mrd.FieldOfViewMm(x=32, y=18, z=16),
    )
    return mrd.Header(
        subject_information=mrd.SubjectInformationType(
            patient_name="Doe^Jane", patient_birthdate=datetime.date(1990, 1, 2),
            patient_gender=mrd.PatientGender.F, patient_weight_kg=61.5,
        ),
        study_information=mrd.StudyInformationType(
            study_time=mrd.Time.from_components(12, 34, 56), accession_number=12
        ),
        measurement_information=mrd.MeasurementInformationType(
            patient_position=mrd.PatientPosition.H_FS, protocol_name="chi of Doe"
        ),
        acquisition_system_information=mrd.AcquisitionSystemInformationType(
            system_vendor="ACME", institution_name="Doe's", receiver_channels=3
        ),
        experimental_conditions=mrd.ExperimentalConditionsType(h1resonance_frequency_hz=123200000),
        encoding=[
            mrd.EncodingType(
                encoded_space=space, recon_space=space, trajectory=mrd.Trajectory.CARTESIAN,
                encoding_limits=mrd.EncodingLimitsType(
                    contrast=mrd.LimitType(minimum=0, maximum=1, center=0)
                ),
                parallel_imaging=mrd.ParallelImagingType(
                    calibration_mode=mrd.CalibrationMode.EMBEDDED
                ),
            )
        ],
        sequence_parameters=mrd.SequenceParametersType(t_e=[5, 10.5]),
        user_parameters=mrd.UserParametersType(
            user_parameter_base64=[mrd.UserParameterBase64Type(name="key", value="aGVsbG8=")]
        ),
    )  # fmt: skip


@pytest.fixture
def readouts(make_acquisition):
    made = [make_acquisition(), make_acquisition(2, 5, 3), make_acquisition(samples=1)]
    for readout in made:
        readout.head["version"] = 1
        readout.head["available_channels"] = readout.head["active_channels"]
        readout.head["channel_mask"][0] = (1 << int(readout.head["active_channels"])) - 1
    return made


@pytest.fixture
def write(tmp_path):
    """A function that writes items to a file."""

    def write(*items, header=header()):  # noqa: B008 - one for all
        with (tmp_path / "scan.bin").open("wb") as file, mrd.BinaryMrdWriter(file) as writer:
            writer.write_header(header)
            writer.write_data(items)
        return tmp_path / "scan.bin"

    return write


def test_readouts_and_waveforms_are_those_of_version_1(write, readouts, make_waveform):
    wave = make_waveform()
    wave.head["version"] = 1
    names = "flags", "measurement_uid", "scan_counter", "time_stamp", "waveform_id"
    theirs = mrd.WaveformUint32(
        **{name: int(wave.head[name]) for name in names},
        sample_time_us=float(wave.head["sample_time_us"]),
        data=wave.data,
    )
    items = [mrd.StreamItem.Acquisition(of_version_2(readout)) for readout in readouts]
    path = write(items[0], mrd.StreamItem.WaveformUint32(theirs), *items[1:])
    with opened(path) as raw:
        assert (raw.name, len(raw)) == ("scan.bin", 3)
        read = [readout for block in raw.blocks(2) for readout in block]
        waves = list(raw.waveforms())
        assert list(raw.images()) == []
    for one, other in zip(read, readouts, strict=True):
        assert one.head.tobytes() == other.head.tobytes()
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_equal(one.trajectory, other.trajectory)
    assert waves[0].head.tobytes() == wave.head.tobytes()
    np.testing.assert_array_equal(waves[0].data, wave.data)


def test_the_header_has_the_same_in_version_1(write):
    with opened(write()) as raw:
        parsed = Header.parse(raw.header_text)
        document = ismrmrd.xsd.CreateFromDocument(raw.header_text.encode())
    assert parsed.echo_times_s == (0.005, 0.0105)
    assert parsed.larmor_hz == 123200000
    assert parsed.encoded_matrix == (4, 6, 16)
    subject, study = document.subjectInformation, document.studyInformation
    assert (subject.patientName, subject.patientGender) == ("Doe^Jane", "F")
    assert (str(subject.patientBirthdate), subject.patientWeight_kg) == ("1990-01-02", 61.5)
    assert (str(study.studyTime), study.accessionNumber) == ("12:34:56", 12)
    assert document.measurementInformation.patientPosition.value == "HFS"
    assert document.encoding[0].encodingLimits.contrast.maximum == 1
    assert document.encoding[0].parallelImaging.calibrationMode.value == "embedded"
    assert document.userParameters.userParameterBase64[0].value == b"hello"


def test_of_a_header_no_name_is_left_that_tells_who_it_is():
    kept = anonymous(header())
    assert "Doe" not in str(kept)
    assert "ACME" in str(kept)
    assert kept.sequence_parameters.t_e == [5, 10.5]
    assert kept.measurement_information.patient_position == mrd.PatientPosition.H_FS


@pytest.mark.parametrize("kind", version2.PIXELS)
def test_images_of_every_type_come_back_as_they_went(tmp_path, make_image, rng, kind):
    data = (100 * rng.standard_normal((2, 3, 4, 5))).astype(kind)
    meta = ismrmrd.Meta({"DataRole": ["Image", "Quantitative"], "RescaleSlope": "0.5"}).serialize()
    image = make_image(data, meta, image_series_index=7, contrast=2, user_int=range(8), flags=16)
    path = tmp_path / "images.bin"
    with path.open("wb") as file:
        writer = version2.Writer(file, header())
        writer.write(image)
        writer.close()
    with opened(path) as raw:
        (back,) = raw.images()
    assert back.head.tobytes()[:-4] == image_head(image).tobytes()[:-4]  # but the meta's length
    np.testing.assert_array_equal(back.data, data)
    assert ismrmrd.Meta.deserialize(back.meta) == ismrmrd.Meta.deserialize(meta)


def test_a_file_that_is_cut_off_gives_what_came_and_says_so(write, readouts):
    items = [mrd.StreamItem.Acquisition(of_version_2(readout)) for readout in readouts]
    whole = write(*items).read_bytes()
    messages = version2.Reader(BytesIO(whole[:-20]), "scan").messages()
    assert isinstance(next(messages), Acquisition)
    with pytest.raises(QsmError, match=r"^scan is cut off; copy"):
        list(messages)
    with pytest.raises(QsmError, match=r"^scan is cut off; copy"):
        version2.Reader(BytesIO(whole[:100]), "scan")


def test_harmed_streams_give_messages_or_an_error_of_ours(write, readouts):
    whole = write(mrd.StreamItem.Acquisition(of_version_2(readouts[0]))).read_bytes()
    begin, rng = whole.rindex(b"}") + 1, np.random.default_rng(3)
    for _ in range(100):
        harmed = bytearray(whole)
        harmed[rng.integers(begin, len(whole))] ^= 1 << rng.integers(8)
        with suppress(QsmError):
            list(version2.Reader(BytesIO(harmed), "scan").messages())


def test_a_term_that_version_1_lacks_is_told(write):
    odd = header()
    odd.encoding[0].trajectory = mrd.Trajectory(77)
    with pytest.raises(QsmError, match=r"the MRD header of scan\.bin makes no sense"):
        opened(write(header=odd))


def test_what_the_package_cannot_read_is_told(write):
    whole = write().read_bytes()
    with pytest.raises(QsmError, match="scan is MRD of another version 2"):
        version2.Reader(BytesIO(whole.replace(b"Mrd.Header", b"Mrd.Heater")), "scan")
    with pytest.raises(QsmError, match=r"^scan\.bin has no MRD header"):
        opened(write(header=None))


def test_aggregates_are_told(write):
    path = write(mrd.StreamItem.ReconData(mrd.ReconData()))
    with opened(path) as raw, pytest.raises(QsmError, match=r"scan\.bin has a ReconData"):
        list(raw.blocks())


def test_without_the_package_it_is_told_how_to_get_it(write, monkeypatch):
    path = write()
    monkeypatch.setitem(sys.modules, "mrd", None)
    with pytest.raises(QsmError, match=r"needs a package more: pip install 'gadgetron-qsm\[mrd2\]"):
        opened(path)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"center_sample": 70_000}, ""),
        ({"user_int": [0] * 9}, "user_int has 9 values, more than version 1 has"),
        ({"idx": mrd.EncodingCounters(user=[70_000])}, ""),
    ],
)
def test_what_version_1_cannot_hold_is_told(write, readouts, changed, what):
    readout = of_version_2(readouts[0])
    for name, value in changed.items():
        setattr(readout.head, name, value)
    path, told = write(mrd.StreamItem.Acquisition(readout)), rf"^scan\.bin makes no sense: .*{what}"
    with opened(path) as raw, pytest.raises(QsmError, match=told):
        list(raw.blocks())
