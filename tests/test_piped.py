"""A scan through pipes: what comes out is what replay makes, and nothing but a stream of images."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from io import BytesIO

import ismrmrd
import pytest

from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd import version2
from gadgetron_qsm.mrd.images import own_meta
from gadgetron_qsm.mrd.messages import Close, ConfigFile, ConfigText, Error, HeaderText
from gadgetron_qsm.mrd.raw import opened
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.mrd.wire import write_message
from gadgetron_qsm.piped import piped
from gadgetron_qsm.replay import replay
from gadgetron_qsm.stream import stream
from tests.mrd.of_version_2 import of_version_2
from tests.sphere_scan import header_text, scan, write_raw

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}
PRINTED = """import sys, ismrmrd
with ismrmrd.serialization.ProtocolDeserializer(sys.stdin.buffer) as stream:
    print(*(type(item).__name__ for item in stream.deserialize()))
"""


@pytest.fixture(scope="module")
def readouts():
    return list(scan())


@pytest.fixture(scope="module")
def write(readouts, tmp_path_factory):
    """A function that writes a stream of the scan, with other messages in front of it."""

    def write(*first, last=Close(), header=header_text()):  # noqa: B008 - they are frozen
        path = tmp_path_factory.mktemp("raw") / "scan.mrd"
        with path.open("wb") as file:
            for message in (*first, HeaderText(header), *readouts, last):
                write_message(file, message)
        return path

    return write


@pytest.fixture(scope="module")
def replayed(readouts, tmp_path_factory):
    """SHA-256 of chi's voxels, of a replay of the same scan."""
    folder = tmp_path_factory.mktemp("replayed")
    write_raw(folder / "scan.h5", readouts, header_text())
    return replay(folder / "scan.h5", folder, overrides=QUICK).maps["chi 1"]


def digest(image):
    (volume,) = images_to_maps([image])
    return hashlib.sha256(volume.data.astype("<f4").tobytes()).hexdigest()


def named(images):
    return {own_meta(image)["map"]: image for image in images}


def through(source, config=None, **changed):
    """What comes out of a scan, as bytes."""
    target = BytesIO()
    piped(source, target, config, QUICK | changed)
    return target.getvalue()


def images_in(content, tmp_path):
    (tmp_path / "images").write_bytes(content)
    with opened(tmp_path / "images") as file:
        return file.header_text, named(file.images())


@contextmanager
def feeding(content, *, close=True):
    """A descriptor that gives the content as it is taken; without `close` no end comes."""
    source, fed = os.pipe()

    def feed():
        with suppress(BrokenPipeError), open(fed, "wb", closefd=close) as file:
            file.write(content)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield source
    finally:
        os.close(source)
        thread.join()
        if not close:
            os.close(fed)


def test_images_are_those_of_a_replay(write, replayed, tmp_path):
    with feeding(write().read_bytes()) as source:
        header, images = images_in(through(source), tmp_path)
    assert header == header_text()
    assert set(images) == {"chi"}
    assert digest(images["chi"]) == replayed


def test_a_file_of_any_kind_may_be_the_input(write, replayed, readouts, tmp_path):
    write_raw(tmp_path / "scan.h5", readouts, header_text())
    piped(tmp_path / "scan.h5", tmp_path / "images", None, QUICK)
    with opened(tmp_path / "images") as file:
        assert digest(next(file.images())) == replayed
    _, images = images_in(through(write()), tmp_path)
    assert digest(images["chi"]) == replayed


def test_of_version_2_come_images_of_version_2(readouts, replayed, tmp_path):
    mrd = pytest.importorskip("mrd")
    path = tmp_path / "scan.bin"
    with path.open("wb") as file, mrd.BinaryMrdWriter(file) as writer:
        writer.write_header(of_sphere(mrd))
        writer.write_data(mrd.StreamItem.Acquisition(of_version_2(r)) for r in readouts)
    with path.open("rb") as file:
        content = through(file.fileno())
    assert content.startswith(version2.MAGIC)
    _, images = images_in(content, tmp_path)
    assert digest(images["chi"]) == replayed


def of_sphere(mrd):
    """The header of the scan in version 2."""
    document = ismrmrd.xsd.CreateFromDocument(header_text().encode())
    encoding = document.encoding[0]

    def space(theirs):
        matrix, fov = theirs.matrixSize, theirs.fieldOfView_mm
        return mrd.EncodingSpaceType(
            matrix_size=mrd.MatrixSizeType(x=matrix.x, y=matrix.y, z=matrix.z),
            field_of_view_mm=mrd.FieldOfViewMm(x=fov.x, y=fov.y, z=fov.z),
        )

    def limit(theirs):
        return theirs and mrd.LimitType(**vars(theirs))

    limits = encoding.encodingLimits
    return mrd.Header(
        experimental_conditions=mrd.ExperimentalConditionsType(
            h1resonance_frequency_hz=document.experimentalConditions.H1resonanceFrequency_Hz
        ),
        encoding=[
            mrd.EncodingType(
                encoded_space=space(encoding.encodedSpace),
                recon_space=space(encoding.reconSpace),
                encoding_limits=mrd.EncodingLimitsType(
                    kspace_encoding_step_1=limit(limits.kspace_encoding_step_1),
                    kspace_encoding_step_2=limit(limits.kspace_encoding_step_2),
                    contrast=limit(limits.contrast),
                ),
            )
        ],
        sequence_parameters=mrd.SequenceParametersType(t_e=document.sequenceParameters.TE),
    )


def test_a_configuration_in_the_stream_holds_but_for_what_the_user_says(write, tmp_path):
    config = ConfigText(
        '<configuration><property name="deliver.maps" value="magnitude"/>'
        '<property name="preset" value="fast"/></configuration>'
    )
    path, few = write(config), {"inversion.iterations": "2"}
    for config, changed, maps in (
        (None, few, {"magnitude"}),
        ("qsm", {"preset": "fast", "deliver.maps": "chi"} | few, {"chi"}),
        (None, {"deliver.maps": "chi"} | few, {"chi"}),
    ):
        piped(path, tmp_path / "out", config, changed)
        with opened(tmp_path / "out") as file:
            assert set(named(file.images())) == maps


def test_a_stream_may_not_choose_places_of_the_machine(write, tmp_path):
    config = f'<property name="deliver.dicom_folder" value="{tmp_path}/dicom"/>'
    path = write(ConfigText(f"<configuration>{config}</configuration>"))
    with pytest.raises(QsmError, match=r"clients may not set deliver\.dicom_folder"):
        through(path)
    assert not (tmp_path / "dicom").exists()
    with pytest.raises(UsageError, match="default"):
        through(write(ConfigFile("default.xml")))


def test_what_settings_deliver_elsewhere_is_delivered(write, tmp_path):
    hidden = {"identity.deidentify": "true", "identity.key": "of sixteen characters"}
    folder = {"deliver.dicom_folder": str(tmp_path / "dicom"), **hidden}
    named = header_text().replace(
        "<experimental", "<subjectInformation><patientName>Doe</patientName>"
        "</subjectInformation><experimental", 1,
    )  # fmt: skip
    content = through(write(header=named), **folder)
    assert list((tmp_path / "dicom").rglob("*.dcm"))
    assert b"Doe" not in content
    header, _ = images_in(content, tmp_path)
    assert "<ismrmrdHeader" in header


def test_a_stream_without_close_is_whole_when_nothing_is_missing(write, replayed, tmp_path, caplog):
    whole = write().read_bytes()
    with feeding(whole[:-2]) as source:
        _, images = images_in(through(source), tmp_path)
    assert digest(images["chi"]) == replayed
    assert "standard input has no CLOSE" in caplog.text


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda _: b"", "standard input is empty"),
        (lambda _: b"h", "standard input is no MRD stream"),
        (lambda _: b"hello", "standard input is no MRD stream"),
        (lambda _: b"\x89HDF\r\n\x1a\n", "is an HDF5 file.*use --input FILE"),
        (lambda _: b"\x03\0", "ends before its MRD header does"),
        (lambda whole: whole[:-3], r"is cut off in its message \d+"),
        (lambda whole: whole[: len(whole) // 2], r"is cut off in its message \d+"),
    ],
)
def test_what_is_no_whole_stream_is_told_and_nothing_comes_of_it(write, content, what):
    target = BytesIO()
    with feeding(content(write().read_bytes())) as source, pytest.raises(QsmError, match=what):
        piped(source, target, None, QUICK)
    assert target.getvalue() == b""


def test_an_error_in_the_stream_ends_it(write):
    with pytest.raises(QsmError, match="it hurts"):
        through(write(last=Error("it hurts")))


def test_a_failure_does_not_wait_for_more_of_the_scan(write):
    content = write(header="<ismrmrdHeader/>").read_bytes()
    start = time.perf_counter()
    with (
        feeding(content[:2_000_000], close=False) as source,
        pytest.raises(QsmError, match="header"),
    ):
        through(source)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (BrokenPipeError(), "whoever was to read the images has gone"),
        (OSError(28, "No space left on device"), "images cannot be written: No space left"),
    ],
)
def test_images_that_nobody_takes_are_told(write, error, what):
    class Full(BytesIO):
        def write(self, _):
            raise error

    with pytest.raises(QsmError, match=what):
        piped(write(), Full(), None, QUICK)


def test_settings_that_make_no_stream_are_refused(write):
    with pytest.raises(UsageError, match=r"deliver\.console: a stream has images alone"):
        through(write(), **{"deliver.console": "dicom"})


def test_a_terminal_is_neither_end(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 1)
    with pytest.raises(UsageError, match="images are no text"):
        stream()
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 0)
    with pytest.raises(UsageError, match="the scan comes on standard input"):
        stream()


def test_the_command_stands_between_programs(write):
    settings = [part for item in QUICK.items() for part in ("--set", "=".join(item))]
    main = "import sys, ismrmrd; from gadgetron_qsm.cli import main; main()"
    with write().open("rb") as raw:
        ours = subprocess.Popen(
            [sys.executable, "-c", main, "stream", *settings],
            stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    theirs = subprocess.run(
        [sys.executable, "-c", PRINTED], stdin=ours.stdout, capture_output=True, text=True
    )
    ours.stdout.close()
    assert (ours.wait(), ours.stderr.read()) == (0, b"")
    ours.stderr.close()
    assert theirs.stdout.split() == ["ismrmrdHeader", "Image"]
