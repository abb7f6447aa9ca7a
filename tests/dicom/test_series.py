from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pydicom
import pytest

from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.errors import QsmError
from tests.written import write_series


def first(files):
    return pydicom.dcmread(files[0])


def test_a_map_is_a_folder_of_numbered_slices(make_map, header, tmp_path):
    files = write_series(make_map("magnitude"), header, tmp_path)
    assert files == [tmp_path / "1005006_Magnitude" / f"000{i}.dcm" for i in range(1, 6)]
    assert [pydicom.dcmread(f).InstanceNumber for f in files] == [1, 2, 3, 4, 5]
    assert sorted(files[0].parent.iterdir()) == files


def test_the_echoes_of_a_magnitude_are_one_series(make_map, header, tmp_path):
    first, second = (
        write_series(make_map("magnitude", echo=echo), header, tmp_path) for echo in (0, 1)
    )
    images = [pydicom.dcmread(file) for file in first + second]
    assert len({image.SeriesInstanceUID for image in images}) == 1
    assert len({image.SOPInstanceUID for image in images}) == len(images)
    assert [image.InstanceNumber for image in images] == list(range(1, 11))
    assert [image.EchoNumbers for image in images] == [1] * 5 + [2] * 5


def test_the_repetitions_of_a_map_are_folders_of_their_own_in_the_order_of_time(
    make_map, full_header, tmp_path
):
    header = full_header(repetitions=2)
    files = [write_series(make_map(repetition=r), header, tmp_path)[0] for r in (0, 1)]
    folders = ["1005001_QSM_chi_rep1", "1005021_QSM_chi_rep2"]
    assert [file.parent.name for file in files] == folders
    images = [pydicom.dcmread(file) for file in files]
    assert [image.SeriesDescription for image in images] == [
        "QSM chi rep1 [ppb] RESEARCH",
        "QSM chi rep2 [ppb] RESEARCH",
    ]
    assert [image.TemporalPositionIdentifier for image in images] == [1, 2]
    assert [image.NumberOfTemporalPositions for image in images] == [2, 2]
    assert len({image.SeriesInstanceUID for image in images}) == 2


def test_a_scan_that_was_not_repeated_has_no_position_in_time(make_map, header, tmp_path):
    dataset = first(write_series(make_map(), header, tmp_path))
    assert "TemporalPositionIdentifier" not in dataset
    assert dataset.SeriesDescription == "QSM chi [ppb] RESEARCH"


def test_a_g_factor_is_stored_in_percent(make_map, header, tmp_path):
    dataset = first(write_series(make_map("g_factor"), header, tmp_path))
    unit = dataset.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("%", "UCUM")


def test_slices_of_a_2d_scan_have_their_own_thickness_and_the_distance_to_the_next(
    make_map, header_2d, tmp_path
):
    dataset = first(write_series(make_map(), header_2d, tmp_path))
    assert (dataset.SliceThickness, dataset.SpacingBetweenSlices) == (2, 2.5)
    assert dataset.MRAcquisitionType == "2D"


@pytest.mark.parametrize("slices", [1, 5])
def test_a_2d_header_with_the_extent_of_all_slices_gives_no_thickness(
    make_map, geometry, header_2d, tmp_path, slices
):
    stack = dataclasses.replace(geometry, matrix=(slices, 7, 6), voxel_size=(2 / slices, 1.25, 1.5))
    dataset = first(write_series(make_map(geometry=stack), header_2d, tmp_path))
    assert dataset.SliceThickness == dataset.SpacingBetweenSlices == 2 / slices


@pytest.mark.parametrize(("ppb", "count"), [(137.4, 137), (-42.6, -43)])
def test_chi_reads_in_ppb_with_its_sign(make_map, header, geometry, tmp_path, ppb, count):
    data = np.zeros(geometry.matrix, np.float32)
    data[0, 4, 2] = ppb
    dataset = first(write_series(make_map(data=data), header, tmp_path))
    assert dataset.pixel_array[4, 2] == count
    mapping = dataset.RealWorldValueMappingSequence[0]
    mapped = (mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped)
    assert mapped == (-32768, 32767)
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("[ppb]", "UCUM")
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == ("126396", "DCM")


@pytest.mark.parametrize("name", ["chi", "r2star", "total_field", "local_field", "magnitude"])
def test_every_kind_reads_back_in_its_unit_to_half_a_count(make_map, header, tmp_path, name):
    data = np.random.default_rng(1).uniform(0, 300, (5, 7, 6)).astype(np.float32)
    files = write_series(make_map(name, data=data), header, tmp_path)
    values, _ = read_series(files[0].parent)
    np.testing.assert_allclose(values, data, atol=0.501)


def test_clipped_and_missing_values_are_counted_in_log_and_image(
    make_map, header, geometry, tmp_path, caplog
):
    data = np.zeros(geometry.matrix, np.float32)
    data[0, 0, :3] = 50_000
    data[1, 0, :2] = np.nan
    with caplog.at_level(logging.WARNING):
        dataset = first(write_series(make_map(data=data), header, tmp_path))
    assert "3 voxels beyond the 16-bit range were clipped" in dataset.ImageComments
    assert "2 voxels without a finite value were set to 0" in dataset.ImageComments
    assert "3 voxels beyond the 16-bit range clipped, 2 not finite" in caplog.text


def test_a_map_without_losses_logs_no_warning(make_map, header, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        write_series(make_map(), header, tmp_path)
    assert not caplog.records


def test_echo_time_is_empty_for_a_map_of_all_echoes(make_map, header, tmp_path):
    dataset = first(write_series(make_map("chi"), header, tmp_path))
    assert "EchoTime" in dataset
    assert dataset.EchoTime is None


def test_echo_time_of_a_single_echo_is_in_ms(make_map, header, tmp_path):
    volume = make_map("magnitude", echo=1, echo_time_s=0.0098)
    dataset = first(write_series(volume, header, tmp_path))
    assert float(dataset.EchoTime) == pytest.approx(9.8)
    assert dataset.EchoNumbers == 2


def test_the_protocol_of_the_scan_is_recorded(make_map, header, tmp_path):
    dataset = first(write_series(make_map(), header, tmp_path))
    assert (dataset.RepetitionTime, dataset.EchoTrainLength) == (31.5, 2)
    assert (dataset.MagneticFieldStrength, dataset.ImagingFrequency) == (3, 123.247935)
    assert (dataset.Manufacturer, dataset.ManufacturerModelName) == ("Vendor", "M3")
    assert (dataset.ProtocolName, dataset.MRAcquisitionType) == ("gre_qsm", "3D")


def test_the_image_says_that_software_made_it_for_research(make_map, header, tmp_path):
    dataset = first(write_series(make_map(), header, tmp_path))
    assert dataset.ContentQualification == "RESEARCH"
    equipment = dataset.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.Manufacturer == "gadgetron-qsm"


def test_a_name_in_any_script_survives_the_file(make_map, full_header, tmp_path):
    for name in ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou=山田^太郎"):
        dataset = first(write_series(make_map(), full_header(name=name), tmp_path))
        assert dataset.PatientName == name


def test_the_window_of_chi_is_fixed_and_that_of_a_magnitude_follows_its_counts(
    make_map, header, tmp_path
):
    data = np.full((5, 7, 6), 731, np.float32)
    chi = first(write_series(make_map("chi", data=data), header, tmp_path))
    magnitude = first(write_series(make_map("magnitude", data=data), header, tmp_path))
    assert (chi.WindowCenter, chi.WindowWidth) == (0, 400)
    assert magnitude.WindowWidth == 731


def test_the_same_map_is_written_as_the_same_bytes(make_map, header, tmp_path):
    volume = make_map(report={"provenance": {"mask": {"method": "phase_quality"}}})
    once = [f.read_bytes() for f in write_series(volume, header, tmp_path / "once")]
    twice = [f.read_bytes() for f in write_series(volume, header, tmp_path / "twice")]
    assert once == twice


def test_every_instance_has_an_identifier_of_its_own(make_map, header, tmp_path):
    files = [*write_series(make_map("chi"), header, tmp_path)]
    files += write_series(make_map("r2star"), header, tmp_path)
    assert len({pydicom.dcmread(f).SOPInstanceUID for f in files}) == len(files)


def test_a_folder_that_cannot_be_written_is_one_clear_line(make_map, header, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match=r"cannot write .*taken.*: Not a directory"):
        write_series(make_map(), header, tmp_path / "taken")


def test_a_map_relative_to_csf_is_told_apart_by_its_name(make_map, header, tmp_path):
    report = {"provenance": {"reference": {"region": "CSF of the ventricles"}}}
    (file, *_) = write_series(make_map(report=report), header, tmp_path)
    assert pydicom.dcmread(file).SeriesDescription == "QSM chi ref CSF [ppb] RESEARCH"
    assert file.parent.name.endswith("_QSM_chi_ref_CSF")
