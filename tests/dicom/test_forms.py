"""What every form of image must keep: values, places, identity; and what only one form has."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import replace

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.dicom.files import encoded
from gadgetron_qsm.dicom.forms import FORMS, objects
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.geometry import Geometry
from tests.dicom.voxels import assert_same_places, places
from tests.written import write_series

LPS_TO_RAS = np.diag([-1, -1, 1, 1])
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix().T
STACKS = {
    "right-handed": (5, tuple(map(tuple, OBLIQUE))),
    "left-handed": (5, tuple(map(tuple, OBLIQUE * [[1], [-1], [1]]))),
    "one slice": (1, tuple(map(tuple, OBLIQUE))),
}
WHOLE = {"enhanced", "parametric"}  # forms of one object a volume

every_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(params=STACKS.values(), ids=list(STACKS))
def stack(request) -> Geometry:
    slices, directions = request.param
    return Geometry((slices, 7, 6), (2.5, 1.25, 1.5), (13.7, -22.1, 31.9), *directions)


@pytest.fixture
def numbered(stack, make_map):
    """A map in which every voxel has a value of its own, some of them negative."""
    data = np.arange(np.prod(stack.matrix), dtype=np.float32).reshape(stack.matrix) - 20
    return make_map(geometry=stack, data=data)


@every_form
def test_every_voxel_reads_back_with_its_value_where_it_was(numbered, header, tmp_path, form):
    files = write_series(numbered, header, tmp_path, form=form)
    values, affine = read_series(files[0].parent)
    assert_same_places(places(values, affine), places(numbered.data, numbered.geometry.affine))


@every_form
def test_dcm2niix_finds_every_value_where_it_was(numbered, header, program, tmp_path, form):
    write_series(numbered, header, tmp_path / "dicom", form=form)
    command = [program("dcm2niix"), "-f", "out", "-b", "n", "-o", str(tmp_path), "-z", "n"]
    subprocess.run([*command, str(tmp_path / "dicom")], check=True, capture_output=True)
    (file,) = tmp_path.glob("*.nii")
    image = nibabel.load(file)
    values = image.get_fdata().reshape(image.shape[:3]).transpose(2, 1, 0)
    expected = places(numbered.data, LPS_TO_RAS @ numbered.geometry.affine)
    if numbered.geometry.matrix[0] > 1:
        assert_same_places(places(values, image.affine), expected)
    else:  # dcm2niix makes up the affine's third axis of a single slice
        assert places(values, image.affine).keys() == expected.keys()


@every_form
def test_highdicom_finds_every_value_where_it_was(numbered, header, tmp_path, form):
    if form == "parametric" and tuple(map(int, highdicom.__version__.split(".")[:2])) < (0, 28):
        pytest.skip("highdicom reads floats from 0.28 on")
    files = write_series(numbered, header, tmp_path, form=form)
    if form in WHOLE:
        read = highdicom.imread(files[0]).get_volume(apply_real_world_transform=True)
    else:
        slices = [pydicom.dcmread(file) for file in files]
        read = highdicom.get_volume_from_series(slices, apply_real_world_transform=True)
    affine = read.affine @ np.eye(4)[[2, 1, 0, 3]]  # from (z, y, x)
    assert_same_places(places(read.array, affine), places(numbered.data, numbered.geometry.affine))


@every_form
def test_slices_of_a_2d_scan_have_their_own_thickness_and_distance(
    make_map, header_2d, tmp_path, form
):
    (file, *_) = write_series(make_map(), header_2d, tmp_path, form=form)
    dataset = pydicom.dcmread(file)
    if form in WHOLE:
        dataset = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (dataset.SliceThickness, dataset.SpacingBetweenSlices) == (2, 2.5)


@pytest.mark.parametrize(
    ("form", "within"), [("classic", 0.5), ("rescaled", 1), ("enhanced", 0.5), ("parametric", 0)]
)
def test_values_are_exact_to_half_a_count(make_map, header, tmp_path, form, within):
    data = np.random.default_rng(5).uniform(-4000, 3000, (5, 7, 6)).astype(np.float32)
    files = write_series(make_map(data=data), header, tmp_path, form=form)
    np.testing.assert_allclose(read_series(files[0].parent)[0], data, rtol=0, atol=within + 1e-3)
    if not within:
        np.testing.assert_array_equal(read_series(files[0].parent)[0], data)


@every_form
def test_a_field_in_hz_is_exact_to_a_twentieth(make_map, header, tmp_path, form):
    data = np.random.default_rng(6).uniform(-200, 200, (5, 7, 6)).astype(np.float32)
    volume = make_map("total_field", data=data, unit="Hz")
    files = write_series(volume, header, tmp_path, form=form)
    np.testing.assert_allclose(read_series(files[0].parent)[0], data, rtol=0, atol=0.0501)
    assert "[Hz]" in pydicom.dcmread(files[0]).SeriesDescription


@every_form
def test_values_that_are_no_numbers_are_zero_and_told(make_map, header, tmp_path, caplog, form):
    data = np.full((5, 7, 6), -3, np.float32)
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    with caplog.at_level(logging.WARNING):
        files = write_series(make_map(data=data), header, tmp_path, form=form)
    values, _ = read_series(files[0].parent)
    assert (values[0, 0, :3] == 0).all()
    assert (values[1:] == -3).all()
    assert "3 voxels without a finite value" in pydicom.dcmread(files[0]).ImageComments
    assert "3 not finite" in caplog.text


@pytest.mark.parametrize(("form", "bits"), [("classic", 16), ("rescaled", 12), ("enhanced", 16)])
def test_values_beyond_the_counts_are_clipped_and_told(make_map, header, tmp_path, form, bits):
    data = np.zeros((5, 7, 6), np.float32)
    data[0, 0, :2] = 50_000, -50_000
    files = write_series(make_map(data=data), header, tmp_path, form=form)
    beyond = f"2 voxels beyond the {bits}-bit range were clipped"
    assert beyond in pydicom.dcmread(files[0]).ImageComments


def test_a_parametric_map_clips_nothing(make_map, header, tmp_path):
    data = np.full((5, 7, 6), 50_000.25, np.float32)
    files = write_series(make_map(data=data), header, tmp_path, form="parametric")
    np.testing.assert_array_equal(read_series(files[0].parent)[0], data)


@every_form
def test_the_forms_of_a_map_are_different_series(make_map, header, form):
    others = {next(objects(make_map(), header, other)).SeriesInstanceUID for other in FORMS}
    assert len(others) == len(FORMS)
    assert next(objects(make_map(), header, form)).SeriesInstanceUID in others


@every_form
def test_a_field_in_another_unit_is_another_series(make_map, header, form):
    field = make_map("total_field")
    ppb, hz = (next(objects(replace(field, unit=u), header, form)) for u in ("ppb", "Hz"))
    assert ppb.SeriesInstanceUID != hz.SeriesInstanceUID


@every_form
def test_echoes_share_a_series_and_no_number(make_map, header, form):
    volumes = [make_map("magnitude", echo=e, echo_time_s=0.005 * (e + 1)) for e in (0, 1)]
    made = [d for volume in volumes for d in objects(volume, header, form)]
    assert len({d.SeriesInstanceUID for d in made}) == 1
    assert len({d.SOPInstanceUID for d in made}) == len(made)
    assert [d.InstanceNumber for d in made] == list(range(1, len(made) + 1))


@every_form
def test_of_several_echoes_the_first_is_read(make_map, header, tmp_path, form):
    for echo in (1, 0):
        data = np.full((5, 7, 6), 10 + echo, np.float32)
        volume = make_map("magnitude", data=data, echo=echo, echo_time_s=0.005)
        files = write_series(volume, header, tmp_path, form=form)
    values, _ = read_series(files[0].parent)
    assert values.shape == (5, 7, 6)
    assert (values == 10).all()


@every_form
def test_repetitions_are_different_series(make_map, full_header, form):
    header = full_header(repetitions=2)
    made = [next(objects(make_map(repetition=r), header, form)) for r in (0, 1)]
    assert len({d.SeriesInstanceUID for d in made}) == 2
    assert len({d.SeriesNumber for d in made}) == 2


@every_form
def test_what_is_done_to_an_object_leaves_the_next_alone(make_map, header, form):
    report = {"provenance": {"reference": {"region": "whole brain"}}}
    untouched = [encoded(d) for d in objects(make_map(report=report), header, form)]
    seen = []
    for dataset in objects(make_map(report=report), header, form):
        seen.append(encoded(dataset))
        dataset.ImageType[0] = "ORIGINAL"
        dataset.PatientName = "Nobody"
        dataset.ContributingEquipmentSequence[0].Manufacturer = "Nobody"
        dataset.file_meta.TransferSyntaxUID = "1.2"
    assert seen == untouched


@every_form
def test_an_object_encodes_as_its_file_reads(make_map, header, tmp_path, form):
    files = write_series(make_map(), header, tmp_path, form=form)
    made = [encoded(dataset) for dataset in objects(make_map(), header, form)]
    assert made == [file.read_bytes() for file in files]
    assert made[0][128:132] == b"DICM"


@every_form
def test_an_object_refers_to_no_other(make_map, header, form):
    absent = ("SourceImageSequence", "ReferencedSeriesSequence", "ReferencedImageSequence")
    for dataset in objects(make_map(), header, form):
        assert not [e for e in dataset.iterall() if e.keyword in absent]


def test_an_unknown_form_is_refused_with_those_there_are(make_map, header):
    with pytest.raises(ValueError, match="'secondary'; FORMS has classic, rescaled, enhanced"):
        objects(make_map(), header, "secondary")


def test_a_rescaled_image_gives_the_unit_by_its_rescale_and_by_its_mapping(make_map, header):
    data = np.zeros((5, 7, 6), np.float32)
    data[0, 4, 2], data[0, 0, 0] = -137.4, 3000
    dataset = next(objects(make_map(data=data), header, "rescaled"))
    assert (dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation) == (12, 11, 0)
    assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (2, -4096)
    assert dataset.RescaleType == "US"
    count = int(dataset.pixel_array[4, 2])
    mapping = dataset.RealWorldValueMappingSequence[0]
    assert count * 2 - 4096 == -138
    assert count * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept == -138
    mapped = (mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped)
    assert mapped == (1, 4095)
    assert (dataset.WindowCenter, dataset.WindowWidth) == (0, 400)


def test_a_classic_field_in_hz_has_the_rescale_that_viewers_need(make_map, header):
    data = np.full((5, 7, 6), -12.34, np.float32)
    dataset = next(objects(make_map("local_field", data=data, unit="Hz"), header))
    assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (0.1, 0)
    assert (dataset.pixel_array == -123).all()
    assert (dataset.WindowCenter, dataset.WindowWidth) == (0, 12)


def test_a_classic_map_in_counts_of_one_unit_has_no_rescale(make_map, header):
    assert "RescaleSlope" not in next(objects(make_map(), header))


def test_an_enhanced_image_of_an_echo_has_its_time(make_map, header):
    volume = make_map("phase", echo=1, echo_time_s=0.0098)
    (dataset,) = objects(volume, header, "enhanced")
    groups = dataset.SharedFunctionalGroupsSequence[0]
    assert groups.MREchoSequence[0].EffectiveEchoTime == pytest.approx(9.8)
    assert dataset.ComplexImageComponent == "PHASE"


def test_the_frames_of_an_enhanced_field_in_hz_have_its_rescale_and_window(make_map, header):
    data = np.full((5, 7, 6), -12.34, np.float32)
    (dataset,) = objects(make_map("local_field", data=data, unit="Hz"), header, "enhanced")
    groups = dataset.SharedFunctionalGroupsSequence[0]
    scale = groups.PixelValueTransformationSequence[0]
    assert (scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType) == (0.1, 0, "US")
    assert groups.FrameVOILUTSequence[0].WindowWidth == 12
    assert (dataset.pixel_array == -123).all()


def test_a_parametric_map_of_an_echo_names_it(make_map, header):
    volume = make_map("magnitude", echo=1, echo_time_s=0.0098)
    (dataset,) = objects(volume, header, "parametric")
    assert dataset.ContentDescription == "Magnitude, echo 2 at 9.8 ms"


@pytest.mark.parametrize("form", sorted(WHOLE))
def test_an_object_of_many_frames_is_dated_as_its_series(make_map, header, bare_header, form):
    (dataset,) = objects(make_map(), header, form)
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260102", "031000.000000")
    (undated,) = objects(make_map(), bare_header, form)
    assert len(undated.ContentDate) == 8


@pytest.mark.parametrize("form", sorted(WHOLE))
def test_an_object_of_many_frames_says_how_it_was_made(make_map, header, form):
    volume = make_map(report={"provenance": {"mask": {"method": "phase_quality"}}})
    (dataset,) = objects(volume, header, form)
    assert "mask: phase_quality" in dataset.ImageComments
