from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from gadgetron_qsm.dicom.grid_of_series import read_slices
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry

C, S = np.cos(0.3), np.sin(0.3)
GRID = Geometry((4, 5, 6), (3.0, 0.8, 0.6), (10, -20, 30), (C, S, 0), (-S, C, 0), (0, 0, 1))
VALUES = np.arange(120, dtype=np.uint16).reshape(GRID.matrix)
FRAME = "1.2.3.4"
SERIES = generate_uid(entropy_srcs=["series"])


def image(rows, columns, sop_class, counts, number):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = SERIES, FRAME
    dataset.InstanceNumber = number
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelData = counts.astype("<u2").tobytes()
    return dataset


def place(dataset, position, measures=None, orientation=None, geometry=GRID):
    dataset.ImagePositionPatient = [f"{part:.6f}" for part in position]
    measures = dataset if measures is None else measures
    measures.PixelSpacing = list(geometry.voxel_size[1:])
    measures.SliceThickness = 2.5  # with a gap
    orientation = dataset if orientation is None else orientation
    orientation.ImageOrientationPatient = [f"{part:.8f}" for part in geometry.image_orientation]


def classic(z, geometry=GRID, number=None):
    dataset = image(5, 6, MRImageStorage, VALUES[z], number or 10 - z)  # numbered from the top
    place(dataset, geometry.image_position(z), geometry=geometry)
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, -1
    return dataset


def enhanced():
    dataset = image(5, 6, EnhancedMRImageStorage, VALUES, 1)
    dataset.NumberOfFrames = 4
    shared, frames = Dataset(), []
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    for z in range(4):
        frame, position = Dataset(), Dataset()
        place(
            position,
            GRID.image_position(z),
            shared.PixelMeasuresSequence[0],
            shared.PlaneOrientationSequence[0],
        )
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def written(folder, *datasets):
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.IMA", enforce_file_format=True)
    return folder


def test_slices_lie_where_they_say_whatever_their_order(tmp_path):
    found = read_slices(written(tmp_path, *(classic(z) for z in (2, 0, 3, 1))))
    np.testing.assert_allclose(found.geometry.affine, GRID.affine, atol=1e-4)
    assert found.geometry.matrix == GRID.matrix
    np.testing.assert_array_equal(found.values, 2.0 * VALUES - 1)
    assert found.frame_of_reference == FRAME


def test_an_object_of_many_frames_is_the_same_volume(tmp_path):
    found = read_slices(written(tmp_path, enhanced()))
    np.testing.assert_allclose(found.geometry.affine, GRID.affine, atol=1e-4)
    np.testing.assert_array_equal(found.values, VALUES)


def test_of_two_echoes_the_first_is_taken(tmp_path):
    second = [classic(z, number=20 + z) for z in range(4)]
    for dataset in second:
        dataset.PixelData = bytes(60)
    found = read_slices(written(tmp_path, *second, *(classic(z) for z in range(4))))
    np.testing.assert_array_equal(found.values, 2.0 * VALUES - 1)


def test_files_that_are_no_images_do_not_matter(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    assert read_slices(written(tmp_path, enhanced())).values.shape == GRID.matrix


def nowhere():
    dataset = classic(0)
    del dataset.ImagePositionPatient
    return dataset


def of_another_series():
    dataset = classic(1)
    dataset.SeriesInstanceUID = generate_uid()
    return dataset


TURNED = Geometry(**{**vars(GRID), "read_dir": (1, 0, 0), "phase_dir": (0, 1, 0)})


def sheared(z):
    dataset = classic(z)
    x, y, height = GRID.image_position(z)
    dataset.ImagePositionPatient = [x + z, y, height]
    return dataset


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "no DICOM images"),
        ([classic(0), of_another_series()], "several series"),
        ([nowhere()], "lies nowhere"),
        ([classic(0), classic(1, geometry=TURNED)], "not parallel"),
        ([classic(0), classic(1), classic(3)], "missing"),
        ([sheared(z) for z in range(4)], "stacked obliquely"),
    ],
)
def test_what_is_no_volume_is_refused_in_a_line(tmp_path, given, told):
    with pytest.raises(QsmError, match=told) as caught:
        read_slices(written(tmp_path, *given))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(QsmError, match="there is no folder"):
        read_slices(tmp_path / "none")
