from __future__ import annotations

import dataclasses
import io
import json
import math
import types

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.data import Echoes, Map
from gadgetron_qsm.dicom.pixels import quantise, quantise12
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import fingerprint
from gadgetron_qsm.mrd.images import echoes_to_images, image_to_map, map_to_image
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.meta import changed
from gadgetron_qsm.mrd.volumes import images_to_coil_images, repetitions_of_images
from gadgetron_qsm.mrd.wire import read_message, write_message


def over_the_wire(image):
    stream = io.BytesIO()
    write_message(stream, image)
    stream.seek(0)
    return read_message(stream)


@pytest.fixture
def geometry():
    """Oblique, with numbers that float32 cannot hold."""
    a, b = 0.3, 0.2
    tilt = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), np.sin(b), 0], [-np.sin(b), np.cos(b), 0], [0, 0, 1]])
    read, phase, slice_ = (tuple(row) for row in (turn @ tilt).tolist())
    return Geometry((4, 6, 8), (1.1, 0.7, 1 / 3), (10.1, -20.2, 30.3), read, phase, slice_)


@pytest.fixture
def chi(geometry, rng):
    inversion = {"method": "tv <&> µ"}
    report = {
        "provenance": {"inversion": inversion},
        "quality": {"snr": 1 / 3},
        "warnings": ["a"],
    }
    data = rng.standard_normal(geometry.matrix).astype(np.float32)
    return Map("chi", data, "ppb", geometry, report=report)


@pytest.mark.parametrize(("echo", "echo_time_s"), [(None, None), (0, 0.0045), (3, 1 / 30)])
def test_a_map_comes_back_from_the_wire_as_it_was(chi, echo, echo_time_s):
    sent = Map(chi.name, chi.data, chi.unit, chi.geometry, echo, echo_time_s, chi.report)
    back = image_to_map(over_the_wire(map_to_image(sent, 7)))
    np.testing.assert_array_equal(back.data, sent.data)
    assert back.data.dtype == np.float32
    assert (back.name, back.unit, back.geometry) == (sent.name, sent.unit, sent.geometry)
    assert (back.echo, back.echo_time_s, back.report) == (echo, echo_time_s, sent.report)


def test_a_report_of_numpy_numbers_and_read_only_mappings_comes_back_in_python(chi):
    report = types.MappingProxyType(
        {
            "timing_s": types.MappingProxyType({"fit": np.float32(0.5)}),
            "quality": {"n": np.int64(3)},
        }
    )
    sent = Map(chi.name, chi.data, chi.unit, chi.geometry, report=report)
    back = image_to_map(map_to_image(sent, 1)).report
    assert back == {"timing_s": {"fit": 0.5}, "quality": {"n": 3}}


def test_of_a_report_only_what_we_write_comes_back(chi):
    sent = Map(chi.name, chi.data, chi.unit, chi.geometry, report={"warnings": ["a"], "n": 3})
    assert image_to_map(map_to_image(sent, 1)).report == {"warnings": ["a"]}


@pytest.mark.parametrize(
    "report",
    [
        {"timing_s": {"field": "1.5"}},
        {"timing_s": {"field": math.nan}},
        {"timing_s": {"field": math.inf}},
        {"timing_s": {f"stage {n}": 1.0 for n in range(20_000)}},
        {"timing_s": {"stage" * 20: 1.0}},
        {"timing_s": {"\ud800": 1.0}},
        {"quality": {f"figure {n}": 1 for n in range(20_000)}},
        {"warnings": [7]},
        {"provenance": {"scan": {"measurement_uid": "7"}}},
        {"provenance": {"scan": {"table_position_mm": [0, 0, math.nan]}}},
        {"provenance": {"scan": {"table_position_mm": [0, 0, 10**400]}}},
    ],
)
def test_a_report_that_we_would_not_write_is_refused_in_a_line(chi, report):
    sent = Map(chi.name, chi.data, chi.unit, chi.geometry)
    image = map_to_image(sent, 1)
    text = changed(image.meta, {"gadgetron_qsm_report": json.dumps(report)})
    with pytest.raises(QsmError, match="changed on the way: report") as refused:
        image_to_map(Image(image.head, image.data, text))
    assert len(str(refused.value)) < 300


def test_the_header_has_the_geometry_in_the_order_of_mrd(chi, geometry):
    head = map_to_image(chi, 7).head
    assert head["matrix_size"].tolist() == [8, 6, 4]
    np.testing.assert_allclose(head["field_of_view"], [8 / 3, 4.2, 4.4], rtol=1e-6)
    np.testing.assert_allclose(head["position"], geometry.position, rtol=1e-6)
    np.testing.assert_allclose(head["phase_dir"], geometry.phase_dir, rtol=1e-6)
    assert (head["image_series_index"], head["image_index"], head["channels"]) == (7, 1, 1)
    assert (head["data_type"], head["version"]) == (5, 1)


@pytest.mark.parametrize(("name", "image_type"), [("chi", 3), ("magnitude", 1), ("r2star", 3)])
def test_only_magnitudes_are_of_type_magnitude(chi, name, image_type):
    image = map_to_image(Map(name, chi.data, "", chi.geometry), 1)
    assert image.head["image_type"] == image_type


def test_the_scan_is_known_by_its_own_numbers(chi, make_acquisition):
    source = make_acquisition().head
    report = {"provenance": {"scan": fingerprint(source, "readouts")}}
    head = map_to_image(dataclasses.replace(chi, report=report), 1).head
    for name in ("measurement_uid", "acquisition_time_stamp"):
        assert head[name] == source[name]
    table = head["patient_table_position"].tolist()
    assert table == source["patient_table_position"].tolist() != [0, 0, 0]


def test_images_of_one_series_are_counted(chi):
    assert map_to_image(dataclasses.replace(chi, echo=2), 1).head["image_index"] == 3


def test_consoles_find_what_they_read_in_the_meta(chi):
    image = map_to_image(
        Map("magnitude", chi.data, "a.u.", chi.geometry, 1, 0.0103),
        1, description="Magnitude echo 2", comment="Magnitude in a.u. Warning: <b> & µ.",
        image_type="MAGNITUDE", window=(0.0, 400.0),
    )  # fmt: skip
    meta = ismrmrd.Meta.deserialize(image.meta)
    assert meta["DataRole"] == meta["GADGETRON_DataRole"] == ["Image", "Quantitative"]
    for name in ("SeriesDescription", "SequenceDescriptionAdditional", "GADGETRON_SeqDescription"):
        assert meta[name] == "Magnitude echo 2"
    for name in ("ImageComment", "ImageComments", "GADGETRON_ImageComment"):
        assert meta[name] == "Magnitude in a.u. Warning: <b> & µ."
    assert meta["ImageType"] == "MAGNITUDE"
    assert (meta["WindowCenter"], meta["WindowWidth"]) == ("0", "400")
    assert (meta["GADGETRON_WindowCenter"], meta["GADGETRON_WindowWidth"]) == ("0", "400")
    assert meta["EchoTime"] == meta["GADGETRON_TE"] == "10.3"
    assert meta["GADGETRON_ImageNumber"] == "2"
    assert "QSM" in meta["ImageProcessingHistory"]
    assert meta["gadgetron_qsm_map"] == '"magnitude"'


def test_the_meta_says_how_the_image_lies_to_all_digits(chi, geometry):
    meta = ismrmrd.Meta.deserialize(map_to_image(chi, 1).meta)
    assert meta["Keep_image_geometry"] == "1"
    for name, direction in (
        ("ImageRowDir", geometry.read_dir),
        ("ImageColumnDir", geometry.phase_dir),
        ("ImageSliceDir", geometry.slice_dir),
        ("ImageSliceNormDir", geometry.slice_dir),
    ):
        assert [len(text.partition(".")[2]) for text in meta[name]] == [18, 18, 18]
        assert tuple(float(text) for text in meta[name]) == direction


def test_what_is_not_known_is_left_out_of_the_meta(chi):
    meta = ismrmrd.Meta.deserialize(map_to_image(chi, 1).meta)
    assert meta["ImageComment"] == "Not for clinical use"
    absent = {"ImageType", "EchoTime", "GADGETRON_TE", "WindowCenter", "RescaleSlope"}
    assert not absent & set(meta)


FORMS = {"int16": (quantise, np.int16, 3), "uint12": (quantise12, np.uint16, 1)}


@pytest.mark.parametrize(("form", "largest"), [("int16", 900), ("uint12", 900), ("uint12", 9000)])
def test_whole_pixels_are_the_map_again_but_for_rounding(chi, form, largest):
    count, dtype, image_type = FORMS[form]
    data = chi.data / np.abs(chi.data).max() * np.float32(largest)
    stored = count(data)
    image = over_the_wire(map_to_image(dataclasses.replace(chi, data=data), 1, stored=stored))
    assert (image.data.dtype, image.head["image_type"]) == (dtype, image_type)
    np.testing.assert_array_equal(image.data[0], stored.counts)
    back = image_to_map(image)
    assert back.data.dtype == np.float32
    np.testing.assert_allclose(back.data, data, atol=0.5001 * stored.slope)


@pytest.mark.parametrize(("form", "signed"), [("int16", True), ("uint12", True), ("uint12", False)])
def test_consoles_find_how_to_read_whole_pixels(chi, form, signed):
    count, *_ = FORMS[form]
    data = 5000 * (chi.data if signed else np.abs(chi.data))
    image = map_to_image(chi, 1, stored=count(data), window=(0, 400))
    meta = ismrmrd.Meta.deserialize(image.meta)
    values = float(meta["RescaleSlope"]) * image.data[0] + float(meta["RescaleIntercept"])
    np.testing.assert_allclose(values, data, atol=0.51 * float(meta["RescaleSlope"]))
    assert meta["RescaleType"] == "US"
    assert (meta["WindowCenter"], meta["WindowWidth"]) == ("0", "400")  # of values, not of pixels
    if form == "uint12":
        assert image.data.min() >= 0
        assert image.data.max() <= 4095
    assert meta.get("PixelPaddingValue") == ("0" if form == "uint12" and signed else None)


@pytest.mark.parametrize(("slope", "intercept"), [("one", "0"), ("0", "0"), ("1", "nan")])
def test_a_scale_that_makes_no_sense_is_refused(chi, slope, intercept):
    image = map_to_image(chi, 1, stored=quantise(chi.data))
    text = changed(image.meta, {"RescaleSlope": slope, "RescaleIntercept": intercept})
    with pytest.raises(QsmError, match="rescale"):
        image_to_map(Image(image.head, image.data, text))


@pytest.mark.parametrize(
    ("window", "centre", "width"),
    [((0.5, 1), "1", "1"), ((37.4, 80.5), "37", "81"), ((-75.5, 150), "-75", "150")],
)
def test_windows_are_whole_numbers(chi, window, centre, width):
    """Of a mask's 0 and 1, (1, 1) shows 0 black and 1 white (PS3.3 C.11.2.1.2.1)."""
    meta = ismrmrd.Meta.deserialize(map_to_image(chi, 1, window=window).meta)
    assert (meta["WindowCenter"], meta["WindowWidth"]) == (centre, width)


@pytest.mark.parametrize("window", [None, (0.05, 0.2), (0, 0)])
def test_a_window_that_consoles_would_flatten_is_left_out(chi, window):
    meta = ismrmrd.Meta.deserialize(map_to_image(chi, 1, window=window).meta)
    assert "WindowCenter" not in meta
    assert "GADGETRON_WindowWidth" not in meta


SIEMENS = {
    "IceMiniHead": "PFhQcm90b2NvbD4=",
    "ImageTypeValue3": "M",
    "SeriesInstanceUID": "1.3.12.2.1107.5.2.1",
    "SOPInstanceUID": "1.3.12.2.1107.5.2.2",
    "RescaleSlope": "2",
    "RescaleIntercept": "-4096",
    "WindowCenter": "2048",
    "DicomJson": "e30=",
}


def test_nothing_of_the_meta_of_a_scanners_images_is_in_those_made_of_them(
    make_image, header, rng, geometry
):
    meta = ismrmrd.Meta(SIEMENS).serialize()
    pixels = rng.standard_normal((3, 1, 4, 6, 8, 2), np.float32).view(np.complex64)[..., 0]
    sent = [make_image(data, meta, contrast=echo) for echo, data in enumerate(pixels)]
    scan = images_to_coil_images(sent, header)
    echoes = Echoes(scan.data[:, 0], header.echo_times_s, header.larmor_hz, geometry, scan.report)
    chi = Map("chi", np.abs(echoes.data[0]), "ppb", geometry, report=echoes.report)
    for image in [*echoes_to_images(echoes), map_to_image(chi, 1)]:
        assert not set(SIEMENS) & set(ismrmrd.Meta.deserialize(image.meta))
        assert not any(value in image.meta for value in SIEMENS.values() if len(value) > 4)


def test_a_geometry_that_was_changed_on_the_way_is_believed(chi):
    image = map_to_image(chi, 1)
    head = image.head.copy()
    head["position"][0] += 5
    back = image_to_map(type(image)(head, image.data, image.meta))
    np.testing.assert_allclose(back.geometry.position, (15.1, -20.2, 30.3), rtol=1e-6)
    np.testing.assert_allclose(back.geometry.voxel_size, chi.geometry.voxel_size, rtol=1e-6)


@pytest.mark.parametrize("meta", ["", "<ismrmrdMeta/>"])
def test_an_image_of_others_is_no_map(make_image, meta):
    with pytest.raises(QsmError, match="no map of gadgetron-qsm"):
        image_to_map(make_image(np.zeros((1, 1, 2, 3), np.float32), meta))


@pytest.mark.parametrize(
    ("meta", "what"),
    [
        ("<ismrmrdMeta><meta><name>gadgetron_qsm_map</name><value>chi", "not valid XML"),
        (
            "<!DOCTYPE a><ismrmrdMeta><meta><name>gadgetron_qsm_map</name></meta></ismrmrdMeta>",
            "entities",
        ),
        (
            "<ismrmrdMeta><meta><name>gadgetron_qsm_map</name><value>chi</value></meta></ismrmrdMeta>",
            "changed on the way",
        ),
    ],
)
def test_a_broken_meta_is_refused(make_image, meta, what):
    with pytest.raises(QsmError, match=what):
        image_to_map(make_image(np.zeros((1, 1, 2, 3), np.float32), meta))


def test_a_map_keeps_its_repetition(chi):
    image = over_the_wire(map_to_image(dataclasses.replace(chi, repetition=3), 1))
    assert image.head["repetition"] == 3
    assert image_to_map(image).repetition == 3


@pytest.mark.parametrize("g_factor", [False, True])
def test_repetition_and_g_factor_come_along_with_the_echoes(geometry, header, rng, g_factor):
    data = rng.standard_normal((3, *geometry.matrix, 2), np.float32).view(np.complex64)[..., 0]
    gain = rng.uniform(1, 2, geometry.matrix).astype(np.float32) if g_factor else None
    sent = Echoes(
        data, header.echo_times_s, header.larmor_hz, geometry, repetition=2, g_factor=gain
    )
    images = [over_the_wire(image) for image in echoes_to_images(sent)]
    (back,) = repetitions_of_images(images, header)
    assert back.repetition == 2
    np.testing.assert_array_equal(back.data[:, 0], data)
    np.testing.assert_array_equal(back.g_factor, gain)


def test_echoes_come_back_from_the_wire_as_they_were(geometry, header, rng):
    data = rng.standard_normal((3, *geometry.matrix, 2), np.float32).view(np.complex64)[..., 0]
    sent = Echoes(data, header.echo_times_s, header.larmor_hz, geometry, {"warnings": ["a"]})
    images = [over_the_wire(image) for image in echoes_to_images(sent)]
    assert [int(image.head["contrast"]) for image in images] == [0, 1, 2]
    assert {int(image.head["image_type"]) for image in images} == {5}
    back = images_to_coil_images(images[::-1], header)
    np.testing.assert_array_equal(back.data[:, 0], data)
    assert (back.geometry, back.report) == (geometry, {"warnings": ["a"]})
