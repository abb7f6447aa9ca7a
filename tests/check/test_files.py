"""What `check` tells of a raw file and of a folder of one series."""

from __future__ import annotations

import re
import sys

import h5py
import numpy as np
import pytest

from gadgetron_qsm.check import check
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Close, HeaderText
from gadgetron_qsm.mrd.wire import write_message
from gadgetron_qsm.phantom import Scan, simulate, varied
from tests.written import write_series


def found(subject):
    """What was found, by what was looked at."""
    return {each.what: each.text for each in check(subject)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "tiny.h5"
    scan = Scan((8, 8, 8), coils=2, echo_times_s=(0.005, 0.0125), fine_per_voxel=1, noise_lines=8)
    simulate(path, scan)
    return path


def test_a_raw_file_is_described(raw):
    told = found(raw)
    assert told["echo times"] == "5, 12.5 ms"
    assert told["field"] == "3.000 T, 127.732436 MHz"
    assert told["voxel"] == "8 x 8 x 8 mm"
    assert told["B0"] == "[0.94  0.342 0.   ] in the image"  # tilted by 20 degrees
    with RawFile(raw) as file:
        z, y, x = Header.parse(file.header_text).recon_matrix
        assert told["matrix"].startswith(f"{z} x {y} x {x} ")
        assert told["readouts"] == f"{len(file)} of 2 coils x {2 * x} samples, k = 0 at {x}"
    assert told["header says"] == "every line once"


def test_a_stream_and_a_file_of_siemens_are_described_as_the_same_scan(raw, tmp_path, monkeypatch):
    stream, dat = tmp_path / "tiny.mrd", tmp_path / "meas.dat"
    with RawFile(raw) as file, stream.open("wb") as target:
        readouts = [readout for block in file.blocks() for readout in block]
        for message in (HeaderText(file.header_text), *readouts, Close()):
            write_message(target, message)
    program = tmp_path / "siemens_to_ismrmrd"
    copies = f"if '-o' in sys.argv: shutil.copy({str(stream)!r}, sys.argv[-1])"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\n{copies}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    dat.write_bytes(bytes(4) + b"\x02" + bytes(1000))
    assert found(stream) == found(dat) == found(raw)


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        (["r4x3"], "4 x 3 accelerated, calibration embedded"),
        (["r2-separate"], "2 x 1 accelerated, calibration separate"),
        (["r2-uncalibrated"], "2 x 1 accelerated, calibration other"),
        (["partial-fourier-both"], "7 of 8 partitions, 9 of 12 lines"),
        (["slices", "averages", "repetitions"], "8 slices (2D), 2 averages, 3 repetitions"),
    ],
)
def test_what_the_header_announces_is_said(tmp_path, variants, says):
    scan = Scan((20, 20, 20), (8, 12, 8), coils=1, echo_times_s=(0.005,), fine_per_voxel=1)
    simulate(tmp_path / "raw.h5", varied(scan, variants))
    assert found(tmp_path / "raw.h5")["header says"] == says


def test_an_asymmetric_echo_shows_where_k_0_is(tmp_path):
    scan = Scan((20, 20, 20), (8, 8, 8), coils=1, echo_times_s=(0.005,), fine_per_voxel=1)
    simulate(tmp_path / "raw.h5", varied(scan, ["asymmetric"]))
    assert found(tmp_path / "raw.h5")["readouts"].endswith("x 12 samples, k = 0 at 4")


def test_who_is_named_is_said_without_a_value(raw):
    told = found(raw)
    assert told["it lacks"].startswith("accession_number; identity.* of these names")
    assert "PHANTOM" not in "".join(told.values())
    assert told["header names"].startswith("patient_id, patient_name, patient_birth_date, ")


def test_what_is_lacking_is_named_with_what_may_fill_it_in(raw, tmp_path):
    def nameless(text):
        text = re.sub("(?s)<subjectInformation>.*</studyInformation>", "", text)
        user = "<userParameterLong><name>Subject</name><value>17</value></userParameterLong>"
        return text.replace("</ismrmrdHeader>", f"<userParameters>{user}</userParameters></ismrm"
                            "rdHeader>")  # fmt: skip

    path = with_header(raw, tmp_path / "nameless.h5", nameless)
    told = found(path)
    assert told["header names"] == "patient_position, frame_uid"
    assert told["it lacks"].startswith("patient_id, patient_name, patient_birth_date, patient_sex,")
    assert "{protocol}" in told["it lacks"]
    assert "{user.Subject}" in told["it lacks"]
    assert "{station}" not in told["it lacks"]  # the header has none
    assert "17" not in told["it lacks"]


def with_header(raw, path, change):
    """Write a copy of a raw file with another header; return it."""
    with h5py.File(raw) as whole, h5py.File(path, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/data", group)
        group["xml"] = [change(whole["dataset/xml"][0].decode())]
    return path


def test_a_raw_file_without_echo_times_is_refused(raw, tmp_path):
    def timeless(text):
        return text.replace("<TE>", "<TI>").replace("</TE>", "</TI>")

    with pytest.raises(QsmError, match="no echo times"):
        list(check(with_header(raw, tmp_path / "no_te.h5", timeless)))


def test_a_raw_file_of_noise_alone_is_refused(raw, tmp_path):
    path = tmp_path / "noise.h5"
    with h5py.File(raw) as whole, h5py.File(path, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/xml", group)
        group["data"] = whole["dataset/data"][:8]
    with pytest.raises(QsmError, match="no readout of an image"):
        list(check(path))


@pytest.fixture
def series(raw, tmp_path):
    data = np.zeros((4, 5, 6), np.float32)
    data[1, 2, 3] = -250
    geometry = Geometry((4, 5, 6), (3, 2, 1.5), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    with RawFile(raw) as file:
        header = Header.parse(file.header_text)
    return write_series(Map("chi", data, "ppb", geometry), header, tmp_path)[0].parent


def test_a_series_is_described(series):
    told = found(series)
    assert told["matrix"] == "4 x 5 x 6 (slice, row, column)"
    assert told["voxel"] == "3 x 2 x 1.5 mm"
    assert told["values"].startswith("-250 to 0,")


def test_a_series_with_a_gap_is_refused(series):
    sorted(series.iterdir())[1].unlink()
    with pytest.raises(QsmError, match="missing"):
        list(check(series))
