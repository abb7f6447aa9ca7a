"""Where voxels are, read back by us and by dcm2niix, for slabs of every orientation."""

from __future__ import annotations

import subprocess

import nibabel
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.geometry import Geometry
from tests.dicom.voxels import assert_same_places, places
from tests.written import write_series

LPS_TO_RAS = np.diag([-1, -1, 1, 1])
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix().T

DIRECTIONS = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "axial, read along the back": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    "double oblique": tuple(map(tuple, OBLIQUE)),
    "axial, left-handed": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "sagittal, left-handed": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "double oblique, left-handed": tuple(map(tuple, OBLIQUE * [[1], [-1], [1]])),
}


@pytest.fixture(params=DIRECTIONS.values(), ids=list(DIRECTIONS))
def slab(request) -> Geometry:
    return Geometry((5, 7, 6), (2.5, 1.25, 1.5), (13.7, -22.1, 31.9), *request.param)


@pytest.fixture
def numbered(slab, make_map):
    """A map in which every voxel has a value of its own, some of them negative."""
    return make_map(geometry=slab, data=np.arange(210, dtype=np.float32).reshape(5, 7, 6) - 50)


def test_every_voxel_stays_where_the_geometry_says(numbered, header, tmp_path):
    files = write_series(numbered, header, tmp_path)
    assert_same_places(
        places(*read_series(files[0].parent)), places(numbered.data, numbered.geometry.affine)
    )


def test_dcm2niix_finds_every_voxel_where_the_geometry_says(numbered, header, program, tmp_path):
    write_series(numbered, header, tmp_path / "dicom")
    command = [program("dcm2niix"), "-f", "out", "-b", "n", "-o", str(tmp_path), "-z", "n"]
    subprocess.run([*command, str(tmp_path / "dicom")], check=True, capture_output=True)
    image = nibabel.load(tmp_path / "out.nii")
    values = np.asanyarray(image.dataobj).transpose(2, 1, 0)
    assert_same_places(
        places(values, image.affine), places(numbered.data, LPS_TO_RAS @ numbered.geometry.affine)
    )


def test_instances_advance_along_row_cross_column(numbered, header, tmp_path):
    slices = [pydicom.dcmread(f) for f in write_series(numbered, header, tmp_path)]
    row, column = np.reshape(np.array(slices[0].ImageOrientationPatient, float), (2, 3))
    locations = [np.cross(row, column) @ s.ImagePositionPatient for s in slices]
    np.testing.assert_allclose(np.diff(locations), 2.5, atol=1e-6)
    np.testing.assert_allclose([s.SliceLocation for s in slices], locations, atol=1e-6)


def test_row_spacing_comes_before_column_spacing(make_map, header, tmp_path):
    dataset = pydicom.dcmread(write_series(make_map(), header, tmp_path)[0])
    assert list(dataset.PixelSpacing) == [1.25, 1.5]
    assert (dataset.Rows, dataset.Columns) == (7, 6)
    assert (dataset.SliceThickness, dataset.SpacingBetweenSlices) == (2.5, 2.5)
