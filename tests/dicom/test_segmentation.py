from __future__ import annotations

import logging
import subprocess
from copy import deepcopy

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from gadgetron_qsm.dicom.regions import coded_region, regions_of
from gadgetron_qsm.dicom.segmentation import segmentation
from tests.dicom.region_scene import DIRECTIONS, chi_of, images_of, regions_in, scene_of, slab

TOLERANCE_MM = 0.01


@pytest.fixture
def scene(header, tmp_path):
    return scene_of(header, tmp_path / "chi")


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes an object and gives its path."""

    def save(dataset):
        path = tmp_path / "object.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return save


def places(dataset, number):
    """Patient coordinates (voxel, 3) that a file gives for the voxels of a segment, sorted."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    cosines = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3))
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    found = []
    for frame, groups in zip(
        dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True
    ):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            row, column = np.nonzero(frame)
            start = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            steps = np.column_stack([column * spacing[1], row * spacing[0]])
            found.append(start + steps @ cosines.astype(float))
    return in_order(np.concatenate(found))


def in_order(points):
    return points[np.lexsort(np.round(points, 2).T)]


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
def test_every_voxel_of_every_region_stays_where_the_geometry_says(
    directions, header, tmp_path, saved
):
    chi, regions, images = scene_of(header, tmp_path / "chi", directions)
    dataset = pydicom.dcmread(saved(segmentation(chi, regions, images, header)))
    for number, region in enumerate(regions, start=1):
        z, y, x = np.nonzero(region.mask)
        expected = np.column_stack([x, y, z, np.ones(len(x))]) @ chi.geometry.affine.T
        np.testing.assert_allclose(
            places(dataset, number), in_order(expected[:, :3]), atol=TOLERANCE_MM
        )


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
def test_highdicom_reads_the_masks_back_on_the_images_they_lie_on(
    directions, header, tmp_path, saved
):
    chi, regions, images = scene_of(header, tmp_path / "chi", directions)
    read = highdicom.seg.segread(saved(segmentation(chi, regions, images, header)))
    uids = [image.SOPInstanceUID for image in images]
    masks = read.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=False, assert_missing_frames_are_empty=True
    )
    along = 1 if np.linalg.det(directions) > 0 else -1
    for number, region in enumerate(regions):
        np.testing.assert_array_equal(masks[..., number], region.mask[::along])


def test_regions_may_overlap(scene, header):
    chi, regions, images = scene
    assert (regions[0].mask & regions[1].mask & regions[2].mask).any()
    dataset = segmentation(chi, regions, images, header)
    assert dataset.SegmentsOverlap == "YES"
    assert [item.SegmentLabel for item in dataset.SegmentSequence] == [
        "whole brain",
        "CSF",
        "left putamen",
    ]


def test_frames_without_a_voxel_are_left_out(scene, header):
    chi, regions, images = scene
    frames = sum(region.mask.any(axis=(1, 2)).sum() for region in regions)
    assert segmentation(chi, regions, images, header).NumberOfFrames == frames


def test_a_segment_says_what_it_is_and_what_made_it(scene, header):
    chi, regions, images = scene
    item = segmentation(chi, regions, images, header).SegmentSequence[2]
    of_type = item.SegmentedPropertyTypeCodeSequence[0]
    assert of_type.CodeValue == "89278009"
    assert of_type.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert item.SegmentAlgorithmType == "AUTOMATIC"
    assert item.SegmentAlgorithmName == "gadgetron-qsm"
    assert item.TrackingID == "left putamen"


def test_patient_study_and_frame_of_reference_are_those_of_the_images(scene, header):
    chi, regions, images = scene
    dataset = segmentation(chi, regions, images, header)
    keywords = "PatientName PatientID PatientBirthDate StudyInstanceUID StudyID AccessionNumber "
    for keyword in (keywords + "FrameOfReferenceUID ContentDate ContentTime").split():
        assert dataset[keyword].value == images[0][keyword].value, keyword
    assert dataset.SeriesInstanceUID != images[0].SeriesInstanceUID
    assert dataset.SeriesNumber == 1005016
    assert dataset.SeriesDescription == "QSM chi ref CSF regions RESEARCH"
    assert dataset.ContentQualification == "RESEARCH"


def test_the_object_says_what_is_wrong_with_the_map(scene, header):
    comments = segmentation(*scene, header).ImageComments
    assert "not for clinical use" in comments
    assert "Warning: 3 of 40 lines are missing." in comments


def test_the_scanner_and_the_software_are_named(scene, header):
    equipment = segmentation(*scene, header).ContributingEquipmentSequence
    assert [item.Manufacturer for item in equipment][:2] == ["gadgetron-qsm", "Vendor"]


def test_the_images_stay_as_they_were(scene, header):
    chi, regions, images = scene
    before = [image.to_json() for image in images]
    dataset = segmentation(chi, regions, images, header)
    dataset.PatientName = dataset.PatientID = "ANONYMOUS"
    dataset.ContributingEquipmentSequence[0].Manufacturer = "another"
    assert [image.to_json() for image in images] == before


def test_the_same_regions_are_written_as_the_same_bytes(scene, header, saved):
    once = saved(segmentation(*scene, header)).read_bytes()
    assert saved(segmentation(*scene, header)).read_bytes() == once


def test_other_regions_make_another_series(scene, header):
    chi, regions, images = scene
    one, other = (segmentation(chi, some, images, header) for some in (regions, regions[:2]))
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID


def test_a_name_of_one_word_is_neither_logged_nor_warned_of(full_header, tmp_path, caplog):
    header = full_header(name="Mononymous")
    chi = chi_of(slab())
    images = images_of(chi, header, tmp_path)
    with caplog.at_level(logging.DEBUG):
        dataset = segmentation(chi, regions_in(chi.geometry), images, header)
    assert dataset.PatientName == "Mononymous"
    assert "Mononymous" not in caplog.text


def test_a_multi_frame_image_does_as_well_as_a_series(header, tmp_path, saved):
    chi = chi_of(slab(DIRECTIONS["double oblique, left-handed"]))
    regions = regions_in(chi.geometry)
    series = images_of(chi, header, tmp_path / "chi")
    image = multi_frame(series[::-1])
    of_frames = pydicom.dcmread(saved(segmentation(chi, regions, [image], header)))
    of_series = segmentation(chi, regions, series, header)
    for number in (1, 2, 3):
        np.testing.assert_array_equal(places(of_frames, number), places(of_series, number))
    for frame in of_frames.PerFrameFunctionalGroupsSequence:
        referred = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        source = image.PerFrameFunctionalGroupsSequence[referred - 1]
        assert frame.PlanePositionSequence == source.PlanePositionSequence


def multi_frame(series):
    """Return one object of the images of a series, as Enhanced MR has them."""
    first, image = series[0], deepcopy(series[0])
    image.SOPClassUID = EnhancedMRImageStorage
    image.NumberOfFrames = len(series)
    measures = "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"
    shared = Dataset()
    shared.PixelMeasuresSequence = [moved(image, first, *measures)]
    shared.PlaneOrientationSequence = [moved(image, first, "ImageOrientationPatient")]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = [Dataset() for _ in series]
    for frame, one in zip(frames, series, strict=True):
        frame.PlanePositionSequence = [moved(image, one, "ImagePositionPatient")]
    image.PerFrameFunctionalGroupsSequence = frames
    return image


def moved(image, source, *keywords):
    """Return a functional group with elements of a source, which go from the top of the image."""
    group = Dataset()
    for keyword in keywords:
        group[keyword] = source[keyword]
        image.pop(keyword, None)
    return group


def test_a_single_slice_has_a_segmentation_too(header, tmp_path, saved):
    chi = chi_of(slab(slices=1))
    region = coded_region("whole brain", np.ones(chi.geometry.matrix))
    dataset = segmentation(chi, [region], images_of(chi, header, tmp_path), header)
    assert pydicom.dcmread(saved(dataset)).pixel_array.all()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda images: images[1:], "4 images are not the 5 slices"),
        (lambda images: [images[0], *images[:-1]], "5 images are not the 5 slices"),
    ],
)
def test_images_that_are_not_the_slices_of_the_map_are_refused(scene, header, broken, message):
    chi, regions, images = scene
    with pytest.raises(ValueError, match=message):
        segmentation(chi, regions, broken(images), header)


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_images_of_another_geometry_are_refused(scene, header, keyword):
    chi, regions, images = scene
    images[0][keyword].value = [value + 0.05 for value in images[0][keyword].value]
    with pytest.raises(ValueError, match="do not lie where the slices of the map do"):
        segmentation(chi, regions, images, header)


@pytest.mark.parametrize("count", [1, 3])
def test_dciodvfy_finds_neither_error_nor_warning(scene, header, saved, program, count):
    chi, regions, images = scene
    path = saved(segmentation(chi, regions[:count], images, header))
    done = subprocess.run(
        [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout + done.stderr).split() == ["Segmentation"]


def test_without_patient_and_study_dciodvfy_misses_only_those(
    bare_header, saved, program, tmp_path
):
    chi = chi_of(slab())
    images = images_of(chi, bare_header, tmp_path / "chi")
    dataset = segmentation(chi, regions_of(np.ones(chi.geometry.matrix)), images, bare_header)
    command = [program("dciodvfy"), str(saved(dataset))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if line != "Segmentation" and "DICOMDIR" not in line] == []
