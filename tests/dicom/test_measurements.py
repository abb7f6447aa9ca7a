from __future__ import annotations

import logging
import subprocess
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from gadgetron_qsm.dicom.region_objects import region_objects
from gadgetron_qsm.dicom.regions import ABNORMAL, LESION, Region, coded_region
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.statistics import statistics
from tests.dicom.region_scene import chi_of, images_of, regions_in, scene_of, slab

NAMES = {
    "Mean": "mean",
    "Standard Deviation": "sd",
    "Median": "median",
    "Minimum": "minimum",
    "Maximum": "maximum",
}


@pytest.fixture
def scene(header, tmp_path):
    return scene_of(header, tmp_path / "chi")


@pytest.fixture
def objects_of(header):
    """Return a function that makes the Segmentation and the report of a scene."""

    def make(chi, regions, images, header=header):
        return list(
            region_objects(chi, regions, images, header, segmentation=True, measurements=True)
        )

    return make


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes objects and gives their paths."""

    def save(*datasets):
        paths = [tmp_path / f"{dataset.Modality}.dcm" for dataset in datasets]
        for path, dataset in zip(paths, datasets, strict=True):
            dataset.save_as(path, enforce_file_format=True)
        return paths

    return save


def test_highdicom_reads_the_numbers_of_every_region(scene, objects_of, saved):
    chi, regions, _ = scene
    outlined, report = objects_of(*scene)
    (path,) = saved(report)
    groups = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [r.label for r in regions]
    for number, (region, group) in enumerate(zip(regions, groups, strict=True), start=1):
        expected = statistics(chi.data, region.mask, chi.geometry.voxel_size)
        *values, volume = group.get_measurements()
        for measured in values:
            assert (measured.name.value, measured.unit.value) == ("126396", "[ppb]")
            truth = getattr(expected, NAMES[measured.derivation.meaning])
            assert measured.value == pytest.approx(truth, abs=0.001)
        assert {measured.derivation.meaning for measured in values} == set(NAMES)
        assert (volume.unit.value, volume.value) == ("mm3", expected.volume_mm3)
        segment = group[0].ContentSequence.find(pydicom.sr.codedict.codes.DCM.ReferencedSegment)
        reference = segment[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == outlined.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == number
        assert group.tracking_uid == outlined.SegmentSequence[number - 1].TrackingUID


def test_a_group_says_where_in_the_patient_it_was_measured(scene, objects_of, saved):
    chi, regions, images = scene
    nowhere = coded_region("dentate nucleus", regions[2].mask, "right")
    (path,) = saved(objects_of(chi, [*regions, nowhere], images)[1])
    groups = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    brain, csf, putamen, dentate = groups
    assert brain.finding_sites[0].value.meaning == "Brain"
    assert csf.finding_type.meaning == "Body Substance"
    assert putamen.finding_sites[0].value.value == "89278009"
    assert putamen.finding_sites[0].laterality.meaning == "Left"
    assert dentate.finding_type.meaning == "Tissue"
    assert dentate.finding_sites == []


def test_the_report_says_how_and_relative_to_what_it_was_measured(scene, objects_of):
    report = objects_of(*scene)[1]
    comment = report.ContentSequence[-1].TextValue
    assert "in ppb, relative to CSF of the ventricles." in comment
    assert "not for clinical use" in comment
    assert "Warning: 3 of 40 lines are missing." in comment
    assert "mask: bet; reference: mean (region=CSF of the ventricles)" in report.to_json()


def test_a_device_and_nobody_else_observed(scene, objects_of, saved):
    report = highdicom.sr.srread(saved(objects_of(*scene)[1])[0])
    (observer,) = report.content.get_observer_contexts()
    device = observer.observer_identifying_attributes
    assert (observer.observer_type.meaning, device.name) == ("Device", "gadgetron-qsm")
    assert device.model_name.startswith("gadgetron-qsm ")


def test_the_report_belongs_to_the_patient_and_the_study(scene, objects_of):
    images = scene[2]
    report = objects_of(*scene)[1]
    for keyword in ["PatientName", "PatientID", "StudyInstanceUID", "StudyID", "AccessionNumber"]:
        assert report[keyword].value == images[0][keyword].value, keyword
    assert (report.SeriesNumber, report.Modality) == (1005017, "SR")
    assert report.SeriesDescription == "QSM chi ref CSF measurements RESEARCH"
    assert report.ContentQualification == "RESEARCH"


def test_images_and_segmentation_stay_as_they_were(scene, objects_of):
    before = [image.to_json() for image in scene[2]]
    outlined, report = objects_of(*scene)
    kept = outlined.to_json()
    report.PatientName = report.PatientID = "ANONYMOUS"
    assert [image.to_json() for image in scene[2]] == before
    assert outlined.to_json() == kept


def test_the_same_measurements_are_written_as_the_same_bytes(scene, objects_of, saved):
    once = [path.read_bytes() for path in saved(*objects_of(*scene))]
    assert [path.read_bytes() for path in saved(*objects_of(*scene))] == once


def test_a_name_of_one_word_is_neither_logged_nor_warned_of(
    full_header, objects_of, tmp_path, caplog
):
    header = full_header(name="Mononymous")
    chi = chi_of(slab())
    images = images_of(chi, header, tmp_path)
    with caplog.at_level(logging.DEBUG):
        report = objects_of(chi, regions_in(chi.geometry), images, header)[1]
    assert report.PatientName == "Mononymous"
    assert "Mononymous" not in caplog.text


def test_an_empty_region_is_in_neither_object(scene, objects_of):
    chi, (brain, csf, putamen), images = scene
    empty = coded_region("thalamus", np.zeros(chi.geometry.matrix))
    outlined, report = objects_of(chi, [brain, empty, csf, putamen], images)
    labels = [item.SegmentLabel for item in outlined.SegmentSequence]
    assert labels == ["whole brain", "CSF", "left putamen"]
    assert "thalamus" not in report.to_json()


def test_nothing_to_outline_is_refused(scene, objects_of):
    chi, _, images = scene
    with pytest.raises(QsmError, match="no region has a voxel"):
        objects_of(chi, [coded_region("whole brain", np.zeros(chi.geometry.matrix))], images)


def test_measurements_without_the_whole_brain_are_refused(scene, objects_of):
    chi, regions, images = scene
    with pytest.raises(ValueError, match="no region is the whole brain"):
        objects_of(chi, regions[1:], images)


@pytest.mark.parametrize(
    ("segmentation", "measurements", "modalities"),
    [(False, False, []), (True, False, ["SEG"]), (False, True, ["SEG", "SR"])],
)
def test_a_report_never_comes_without_the_segments_it_refers_to(
    scene, header, segmentation, measurements, modalities
):
    made = region_objects(*scene, header, segmentation=segmentation, measurements=measurements)
    assert [dataset.Modality for dataset in made] == modalities


@pytest.mark.parametrize("count", [1, 3])
def test_dciodvfy_finds_neither_error_nor_warning(scene, objects_of, saved, program, count):
    chi, regions, images = scene
    (path,) = saved(objects_of(chi, regions[:count], images)[1])
    done = subprocess.run(
        [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout + done.stderr).split() == ["Comprehensive3DSR"]


def test_dcentvfy_finds_images_and_objects_consistent(scene, objects_of, saved, program, tmp_path):
    paths = [*sorted((tmp_path / "chi").rglob("*.dcm")), *saved(*objects_of(*scene))]
    done = subprocess.run(
        [program("dcentvfy"), *map(str, paths)], capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    # It takes AccessionNumber for one of the series in any report that has it.
    assert [line for line in lines if "<AccessionNumber> IE <Series> versus" not in line] == []


def test_dsrdump_prints_the_numbers(scene, objects_of, saved, program):
    chi, regions, _ = scene
    (path,) = saved(objects_of(*scene)[1])
    done = subprocess.run(
        [program("dsrdump"), "+Pl", str(path)], capture_output=True, text=True, check=True
    )
    for region in regions:
        found = statistics(chi.data, region.mask, chi.geometry.voxel_size)
        for value in (found.mean, found.sd, found.median, found.minimum, found.maximum):
            assert f'"{round(value, 3)}" ([ppb],UCUM,"ppb")' in done.stdout
        assert f'"{found.volume_mm3}" (mm3,UCUM,"cubic millimeter")' in done.stdout
    assert "relative to CSF of the ventricles" in done.stdout


def test_what_lies_out_of_the_map_is_not_measured(scene, objects_of, saved):
    chi, regions, images = scene
    brain = regions[0].mask
    wide = coded_region("thalamus", np.ones(chi.geometry.matrix))
    (path,) = saved(objects_of(chi, [*regions, wide], images)[1])
    *_, group = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    mean, *_, volume = group.get_measurements()
    assert mean.value == pytest.approx(chi.data[brain].mean(dtype=float), abs=0.001)
    assert volume.value == pytest.approx(brain.sum() * np.prod(chi.geometry.voxel_size))


@pytest.fixture
def with_all(header, scene):
    """The objects of a scene with a lesion and R2*."""
    chi, regions, images = scene
    rate = replace(chi, name="r2star", data=chi.data / 7 + 20, unit="1/s")
    lesion = Region("microbleed candidate 1", regions[2].mask, ABNORMAL, LESION)
    given = {"segmentation": True, "measurements": True, "others": [rate]}
    return list(region_objects(chi, [*regions, lesion], images, header, **given))


def test_a_lesion_is_a_finding_without_an_anatomical_site(with_all, saved):
    (path,) = saved(with_all[1])
    *_, lesion = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    assert lesion.tracking_identifier == "microbleed candidate 1"
    assert (lesion.finding_type.value, lesion.finding_sites) == ("52988006", [])
    segment = with_all[0].SegmentSequence[-1]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lesion"


def test_dciodvfy_and_dsrdump_take_a_report_with_lesions_and_r2star(with_all, saved, program):
    paths = saved(*with_all)
    for path in paths:
        done = subprocess.run(
            [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
        )
        assert not [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]
    tree = subprocess.run(
        [program("dsrdump"), str(paths[1])], capture_output=True, text=True, check=True
    ).stdout
    assert tree.count('"Measurement Group"') == 4
    assert 'NUM:(,,"R2*")' in tree
    assert 'CODE:(,,"Finding")=(52988006,SCT,"Lesion")' in tree


def test_another_map_is_reported_in_its_unit_behind_chi(header, scene, saved):
    chi, regions, images = scene
    rate = replace(chi, name="r2star", data=chi.data / 7 + 20, unit="1/s")
    given = {"segmentation": True, "measurements": True, "others": [rate]}
    (path,) = saved([*region_objects(chi, regions, images, header, **given)][1])
    for region, group in zip(
        regions,
        highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups(),
        strict=True,
    ):
        found = [(m.name.value, m.unit.value) for m in group.get_measurements()]
        assert found == [("126396", "[ppb]")] * 5 + [("126395", "/s")] * 5 + [("118565006", "mm3")]
        mean = group.get_measurements()[5]
        truth = statistics(rate.data, region.mask, chi.geometry.voxel_size).mean
        assert mean.value == pytest.approx(truth, abs=0.001)
