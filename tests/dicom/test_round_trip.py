"""Any volume through DICOM and back, by our reader and by others: 0.01 mm and half a count."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gadgetron_qsm.dicom.forms import FORMS
from gadgetron_qsm.dicom.pixels import HIGHEST, LOWEST
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.geometry import Geometry
from tests.written import write_series

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
    from nibabel.nicom.dicomwrappers import wrapper_from_file

TOLERANCE_MM, TOLERANCE_PPB = 0.01, 0.5
CONVERTERS_OFF = 1e-4  # of direction cosines
SIGNED_16 = (LOWEST, HIGHEST)
RANGES = {"rescaled": (-2047, 2047)}  # beyond, a count of 12 bits is more than one ppb
HIGHDICOM_READS_FLOATS = tuple(map(int, highdicom.__version__.split(".")[:2])) >= (0, 28)

REPEATABLE = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}

seeds = st.integers(0, 2**32 - 1)
few = st.integers(2, 12)
millimetres = st.floats(0.2, 5)
place = st.floats(-500, 500)
angle = st.floats(-180, 180)
off = st.floats(-CONVERTERS_OFF, CONVERTERS_OFF)


@st.composite
def geometries(draw):
    """Slabs anywhere, of either hand; directions exact, of float32, or as converters round them."""
    angles = draw(st.tuples(angle, angle, angle))
    frame = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    frame[draw(st.integers(0, 2))] *= draw(st.sampled_from([1, -1]))
    rounded = {
        "exact": frame,
        "float32": np.float32(frame).astype(float),
        "4 digits": frame.round(4),
        "off": frame
        + CONVERTERS_OFF * np.reshape(draw(st.tuples(*[st.floats(-1, 1)] * 9)), (3, 3)),
    }
    directions = rounded[draw(st.sampled_from(sorted(rounded)))]
    matrix = draw(st.tuples(few, few, few))
    voxel_size = draw(st.tuples(millimetres, millimetres, millimetres))
    position = draw(st.tuples(place, place, place))
    return Geometry(matrix, voxel_size, position, *map(tuple, directions.tolist()))


def corners(matrix):
    """Homogeneous voxel indices (4, corner) of the first and last voxels along x, y, z."""
    z, y, x = matrix
    ends = np.meshgrid([0, x - 1], [0, y - 1], [0, z - 1], indexing="ij")
    return np.stack([*(e.ravel() for e in ends), np.ones(8)])


def in_series_order(values, affine, geometry):
    """The map and its affine with z along row x column, as a series has its slices."""
    hand = np.dot(np.cross(geometry.read_dir, geometry.phase_dir), geometry.slice_dir)
    if hand > 0:
        return values, affine
    turn = np.diag([1.0, 1, -1, 1])
    turn[2, 3] = geometry.matrix[0] - 1
    return values[::-1], affine @ turn


def assert_same_grid(found, expected, matrix):
    ends = corners(matrix)
    assert np.abs((found - expected) @ ends)[:3].max() < TOLERANCE_MM


def by_highdicom(files):
    """Values (z, y, x), and the affine of (x, y, z)."""
    slices = [pydicom.dcmread(file) for file in files]
    if len(slices) == 1:
        volume = highdicom.imread(files[0]).get_volume(apply_real_world_transform=True)
    else:
        volume = highdicom.get_volume_from_series(slices, apply_real_world_transform=True)
    row, column, slice_ = (volume.affine[:3, axis] for axis in (2, 1, 0))
    if np.dot(np.cross(row, column), slice_) < 0:
        volume = volume.flip_spatial(0)  # it counts slices against row x column
    return volume.array, volume.affine[:, [2, 1, 0, 3]]  # and (slice, row, column)


def by_nibabel(files):
    """The affine of (x, y, z), from the first slice and where the last one begins."""
    first, last = (wrapper_from_file(str(file)).affine for file in (files[0], files[-1]))
    affine = first[:, [1, 0, 2, 3]]  # nibabel counts (row, column, slice)
    affine[:3, 2] = (last - first)[:3, 3] / (len(files) - 1)
    return affine


@pytest.fixture
def comes_back(make_map, header):
    """A function that writes a volume of values in a range in a form, and has readers read it."""

    def check(geometry, seed, form, values):
        data = np.random.default_rng(seed).uniform(*values, geometry.matrix).astype(np.float32)
        expected, affine = in_series_order(data, geometry.affine, geometry)
        with tempfile.TemporaryDirectory() as folder:
            volume = make_map(geometry=geometry, data=data)
            files = write_series(volume, header, Path(folder), form=form)
            read = [read_series(files[0].parent)]
            if form != "parametric" or HIGHDICOM_READS_FLOATS:
                read.append(by_highdicom(files))
            if len(files) > 1:
                assert_same_grid(by_nibabel(files), affine, geometry.matrix)
        for found, where in read:
            assert np.abs(found - expected).max() <= TOLERANCE_PPB
            assert_same_grid(where, affine, geometry.matrix)

    return check


@given(geometry=geometries(), seed=seeds)
@settings(max_examples=100, **REPEATABLE)
def test_any_volume_comes_back_in_its_place_with_its_values(comes_back, geometry, seed):
    comes_back(geometry, seed, "classic", SIGNED_16)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"classic"}))
@given(geometry=geometries(), seed=seeds)
@settings(max_examples=25, **REPEATABLE)
def test_so_it_does_in_every_other_form(comes_back, form, geometry, seed):
    comes_back(geometry, seed, form, RANGES.get(form, SIGNED_16))


def test_500_oblique_slices_are_where_they_were(make_map, header, tmp_path):
    frame = Rotation.from_euler("xyz", [0.001, 44.99, -0.0003], degrees=True).as_matrix()
    frame = frame + CONVERTERS_OFF * np.array([[1, -1, 1], [-1, 1, 1], [1, 1, -1]])
    geometry = Geometry(
        (500, 2, 2), (0.7, 0.7, 0.7), (-499.987654321, 1e-5, 333.333333333), *map(tuple, frame)
    )
    files = write_series(make_map(geometry=geometry), header, tmp_path, form="enhanced")
    expected = in_series_order(np.zeros(geometry.matrix), geometry.affine, geometry)[1]
    for _, where in (read_series(files[0].parent), by_highdicom(files)):
        assert_same_grid(where, expected, geometry.matrix)
