from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry

POSITION = (10.0, 20.0, 30.0)
VOXEL = (2.5, 1.25, 1.5)  # (z, y, x)
AXIAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
OBLIQUE = ((0.8, -0.48, 0.36), (0.6, 0.64, -0.48), (0, 0.6, 0.8))

# Centre voxel of (5, 7, 6) is (2, 3, 3): 5, 3.75 and 4.5 mm along slice, phase and read.
CASES = {
    # (read, phase, slice), matrix, first voxel (LPS), last voxel (LPS), B0 (z, y, x)
    "axial": (AXIAL, (5, 7, 6), (5.5, 16.25, 25), (13, 23.75, 35), (1, 0, 0)),
    "axial, read along the back": (
        ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
        (5, 7, 6), (13.75, 15.5, 25), (6.25, 23, 35), (1, 0, 0),
    ),
    "coronal": (
        ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
        (5, 7, 6), (5.5, 15, 33.75), (13, 25, 26.25), (0, -1, 0),
    ),
    "sagittal": (
        ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
        (5, 7, 6), (15, 15.5, 33.75), (5, 23, 26.25), (0, -1, 0),
    ),
    "sagittal, read along the bore": (
        ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
        (5, 7, 6), (5, 16.25, 25.5), (15, 23.75, 33), (0, 0, 1),
    ),
    "oblique": (
        ((1, 0, 0), (0, 0.8, 0.6), (0, -0.6, 0.8)),
        (5, 7, 6), (5.5, 20, 23.75), (13, 20, 36.25), (0.8, 0.6, 0),
    ),
    "double oblique": (OBLIQUE, (5, 7, 6), (4.15, 16.76, 26.18), (14.65, 23.96, 33.28),
        (0.8, -0.48, 0.36)),
    "axial, left-handed": (
        ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
        (5, 7, 6), (5.5, 16.25, 35), (13, 23.75, 25), (-1, 0, 0),
    ),
    "coronal, left-handed": (
        ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
        (5, 7, 6), (5.5, 25, 33.75), (13, 15, 26.25), (0, -1, 0),
    ),
    "sagittal, left-handed": (
        ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
        (5, 7, 6), (5, 15.5, 33.75), (15, 23, 26.25), (0, -1, 0),
    ),
    "double oblique, left-handed": (
        (OBLIQUE[0], OBLIQUE[1], (0, -0.6, -0.8)),
        (5, 7, 6), (4.15, 22.76, 34.18), (14.65, 17.96, 25.28), (-0.8, -0.48, 0.36),
    ),
    "even sizes": (AXIAL, (4, 6, 8), (4, 16.25, 25), (14.5, 22.5, 32.5), (1, 0, 0)),
    "odd sizes": (AXIAL, (3, 5, 7), (5.5, 17.5, 27.5), (14.5, 22.5, 32.5), (1, 0, 0)),
    "one voxel": (AXIAL, (1, 1, 1), POSITION, POSITION, (1, 0, 0)),
}  # fmt: skip


class Case(NamedTuple):
    directions: tuple
    matrix: tuple
    first: tuple
    last: tuple
    b0: tuple

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.matrix, VOXEL, POSITION, *self.directions)

    def place(self, z, y, x):
        return (self.geometry.affine @ [x, y, z, 1])[:3]


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request) -> Case:
    return Case(*request.param)


def test_the_affine_puts_first_and_last_voxel_where_the_slab_lies(case):
    np.testing.assert_allclose(case.place(0, 0, 0), case.first, atol=1e-9)
    np.testing.assert_allclose(case.place(*np.subtract(case.matrix, 1)), case.last, atol=1e-9)


def test_each_axis_steps_along_its_direction(case):
    steps = zip(range(3), case.directions, (1.5, 1.25, 2.5), strict=True)
    for axis, direction, size in steps:
        np.testing.assert_allclose(case.geometry.affine[:3, axis], np.multiply(direction, size))


def test_the_centre_voxel_lies_at_the_position(case):
    centre = case.place(*(n // 2 for n in case.matrix))
    np.testing.assert_allclose(centre, POSITION, atol=1e-9)


def test_b0_lies_along_the_patients_z_axis(case):
    np.testing.assert_allclose(case.geometry.b0_direction, case.b0, atol=1e-9)


def test_image_positions_walk_from_the_first_voxel_along_the_slices(case):
    slices = case.matrix[0]
    walk = np.array([case.geometry.image_position(z) for z in range(slices)])
    expected = np.outer(2.5 * np.arange(slices), case.directions[2]) + case.first
    np.testing.assert_allclose(walk, expected, atol=1e-9)


def test_image_orientation_is_columns_first_then_rows():
    geometry = Geometry((5, 7, 6), VOXEL, POSITION, *OBLIQUE)
    assert geometry.image_orientation == (0.8, -0.48, 0.36, 0.6, 0.64, -0.48)


@pytest.mark.parametrize("hand", [1, -1], ids=["right-handed", "left-handed"])
def test_directions_that_a_converter_rounded_become_the_nearest_frame(hand):
    exact = np.array(OBLIQUE) * [[1], [1], [hand]]
    rng = np.random.default_rng(3)
    for _ in range(20):
        rounded = exact + rng.uniform(-1e-4, 1e-4, (3, 3))
        geometry = Geometry((5, 7, 6), VOXEL, POSITION, *map(tuple, rounded))
        frame = np.array([geometry.read_dir, geometry.phase_dir, geometry.slice_dir])
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-14)
        assert np.linalg.norm(frame - exact) < np.linalg.norm(rounded - exact)
        assert np.linalg.norm(geometry.b0_direction) == pytest.approx(1, abs=1e-12)
        again = Geometry((5, 7, 6), VOXEL, POSITION, *map(tuple, frame.tolist()))
        assert again == geometry


def test_directions_of_an_mrd_header_are_taken_as_they_are():
    float32 = np.float32(OBLIQUE).astype(float)
    geometry = Geometry((5, 7, 6), VOXEL, POSITION, *map(tuple, float32.tolist()))
    assert geometry.read_dir == tuple(float32[0])


@pytest.mark.parametrize(
    "directions",
    [
        ((0, 0, 0), (0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (0.1, 0.995, 0), (0, 0, 1)),
        ((1, 0, 0), (0, 1.01, 0), (0, 0, 1)),
        ((1, 0, 0), (0, 1, 0), (0, 1, 0)),
        ((float("nan"), 0, 0), (0, 1, 0), (0, 0, 1)),
    ],
    ids=["all zero", "not orthogonal", "not of unit length", "same twice", "not a number"],
)
def test_directions_that_are_no_frame_are_refused(directions):
    with pytest.raises(QsmError, match="orthogonal unit vectors"):
        Geometry((5, 7, 6), VOXEL, POSITION, *directions)


@pytest.mark.parametrize(
    ("matrix", "voxel"),
    [((0, 7, 6), VOXEL), ((5, 7, 6), (2.5, 0, 1.5)), ((5, 7, 6), (2.5, 1.25, float("nan")))],
)
def test_a_volume_without_extent_is_refused(matrix, voxel):
    with pytest.raises(QsmError, match="is no volume"):
        Geometry(matrix, voxel, POSITION, *AXIAL)
