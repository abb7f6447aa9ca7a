from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.report.planes import edge_letters, middle, planes

TILTED = Rotation.from_euler("xyz", [10, -8, 5], degrees=True).as_matrix().T
DIRECTIONS = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "axial, read along the back": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    "axial, feet up": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    "left-handed": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "tilted": tuple(map(tuple, TILTED)),
}


@pytest.fixture(params=DIRECTIONS.values(), ids=list(DIRECTIONS))
def geometry(request) -> Geometry:
    return Geometry((9, 11, 13), (3.0, 2.0, 1.0), (0, 0, 0), *request.param)


def patient_coordinates(geometry):
    """(3, z, y, x): LPS position of every voxel in mm."""
    z, y, x = np.indices(geometry.matrix)
    return np.einsum("ij,jzyx->izyx", geometry.affine, [x, y, z, np.ones_like(x)])[:3]


def test_rows_and_columns_run_as_radiologists_look(geometry):
    left, back, head = patient_coordinates(geometry)
    centre = tuple(n // 2 for n in geometry.matrix)
    for axis, (rows_rise, columns_rise) in enumerate([(back, left), (-head, left), (-head, back)]):
        down = planes(rows_rise, geometry, centre)[axis].image
        right = planes(columns_rise, geometry, centre)[axis].image
        assert (np.diff(down, axis=0) > 0).all()
        assert (np.diff(right, axis=1) > 0).all()


def test_planes_meet_in_the_chosen_voxel(geometry):
    centre = (2, 7, 4)
    data = np.zeros(geometry.matrix, np.float32)
    data[centre] = 1
    assert [plane.image.sum() for plane in planes(data, geometry, centre)] == [1, 1, 1]


def test_spacing_and_directions_are_those_of_the_rows_and_columns(geometry):
    positions = patient_coordinates(geometry)
    for index, plane in enumerate(planes(positions[0], geometry, (4, 5, 6))):
        cut = np.array([planes(p, geometry, (4, 5, 6))[index].image for p in positions])
        for axis in (0, 1):
            step = np.diff(cut, axis=axis + 1)[:, 0, 0]
            np.testing.assert_allclose(plane.directions[axis] * plane.spacing[axis], step)


def test_edges_of_an_axial_slab_are_named():
    geometry = Geometry((3, 4, 5), (1, 1, 1), (0, 0, 0), *DIRECTIONS["axial"])
    axial, coronal, sagittal = planes(np.zeros((3, 4, 5)), geometry, (1, 2, 2))
    assert axial.edges == {"top": "A", "bottom": "P", "left": "R", "right": "L"}
    assert coronal.edges == {"top": "H", "bottom": "F", "left": "R", "right": "L"}
    assert sagittal.edges == {"top": "H", "bottom": "F", "left": "A", "right": "P"}


def test_an_oblique_edge_has_its_nearest_direction_first():
    assert edge_letters(np.array([0.0, 0.5, -0.866])) == "FP"
    assert edge_letters(np.array([0.99, -0.1, 0.1])) == "L"


def test_the_middle_is_that_of_the_filled_voxels():
    data = np.zeros((10, 10, 10))
    data[2:5, 6:9, 0:1] = -3
    assert middle(data) == (3, 7, 0)


def test_the_middle_of_an_empty_volume_is_its_own():
    assert middle(np.zeros((4, 6, 8))) == (2, 3, 4)


def test_what_is_no_number_does_not_count_as_filled():
    data = np.zeros((4, 6, 8))
    data[3, 5, 7], data[1, 1, 1] = np.nan, 2
    assert middle(data) == (1, 1, 1)


def test_a_plane_knows_its_size(geometry):
    for plane in planes(np.zeros(geometry.matrix), geometry, (2, 3, 4)):
        rows, columns = plane.image.shape
        assert plane.size_mm == (rows * plane.spacing[0], columns * plane.spacing[1])
