"""A point in the patient, scanned by theory, is in the DICOM images where it was."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.data import Map
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.settings import KSpaceSettings
from tests.dicom.planes import read
from tests.point_scan import Slab
from tests.written import write_series

TOLERANCE_MM = 0.01
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix().T
POSITION, VOXEL = (13.7, -22.1, 31.9), (1.5, 1.25, 2.5)  # x, y, z

SIZES = {
    # encoded, shown (x, y, z); voxels that the console would interpolate to; 2D
    "even": ((32, 16, 16), (16, 16, 16)),
    "odd": ((30, 15, 15), (15, 15, 15)),
    "even of odd": ((31, 19, 17), (16, 14, 14)),
    "odd of even": ((32, 18, 16), (15, 15, 15)),
    "interpolated by the console": ((32, 18, 16), (16, 15, 16), (32, 30, 32)),
    "even slices": ((32, 16, 16), (16, 16, 16), None, True),
    "odd slices": ((30, 18, 15), (15, 15, 15), None, True),
}
HANDS = {"right-handed": 1, "left-handed": -1}


@pytest.fixture(params=SIZES.values(), ids=list(SIZES))
def sizes(request):
    return request.param


@pytest.fixture(params=HANDS.values(), ids=list(HANDS))
def slab(request, sizes):
    return Slab(OBLIQUE * [[1], [1], [request.param]], POSITION, VOXEL, *sizes)


@pytest.fixture
def scanned(slab):
    """A function that scans a point, and returns the coil images made of its readouts."""

    def scan(point, width_mm=0.0):
        settings = KSpaceSettings(compression="none")
        (images,) = coil_images(slab.readouts(point, width_mm), slab.header, settings)
        return images

    return scan


@pytest.fixture
def shown(slab, scanned, tmp_path):
    """A function that scans a point, and returns its image and where the voxels lie."""

    def scan(point, width_mm=0.0):
        images = scanned(point, width_mm)
        data = np.abs(images.data[0, 0])
        data *= 30000 / data.max()
        volume = Map("magnitude", data, "a.u.", images.geometry)
        return read(write_series(volume, slab.header, tmp_path))

    return scan


@pytest.mark.parametrize("voxels", [(0, 0, 0), (-6, 5, -6)])
def test_a_point_on_the_grid_is_one_voxel_where_it_was(slab, shown, voxels):
    point = slab.at(*voxels)
    values, places = shown(point)
    assert np.count_nonzero(values > 1) == 1
    np.testing.assert_allclose(places[values == values.max()][0], point, atol=TOLERANCE_MM)


def test_a_point_between_voxels_has_its_centroid_where_it_was(slab, shown):
    point = slab.at(0.31, -0.47, 0.23)
    values, places = shown(point, width_mm=2.6)
    centroid = np.average(places.reshape(-1, 3), axis=0, weights=values.ravel())
    np.testing.assert_allclose(centroid, point, atol=TOLERANCE_MM)


def test_images_that_were_transformed_elsewhere_lie_where_ours_do(slab, scanned):
    ours = scanned(slab.at(3, -2, 4))
    messages = slab.images(ours.data[0, 0])
    (theirs,) = coil_images(messages, slab.header, KSpaceSettings())
    np.testing.assert_allclose(theirs.geometry.affine, ours.geometry.affine, atol=1e-4)
    np.testing.assert_array_equal(theirs.data, ours.data)
