from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.halfway import halfway
from gadgetron_qsm.measure.scan import Scan

STRAIGHT = Geometry((20, 24, 22), (2.5, 2, 2), (3, -4, 5), (1, 0, 0), (0, 1, 0), (0, 0, 1))
BACKWARDS = replace(STRAIGHT, slice_dir=(0, 0, -1))
TURNED = replace(STRAIGHT, phase_dir=(0, -1, 0), slice_dir=(0, 0, -1))
SPOT, WIDTH_MM = np.array([6.0, 1.0, 2.0]), 6.0


def motion(degrees=0.0, shift=(0, 0, 0)):
    matrix = np.eye(4)
    axis = np.array([1, 2, 3]) / np.sqrt(14)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def spot(geometry, at=SPOT, width_mm=WIDTH_MM):
    """A scan (Gaussian, 100 ppb) of a spot that lies `at` (LPS)."""
    z, y, x = np.indices(geometry.matrix)
    points = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ geometry.affine.T
    away = np.square(points[..., :3] - at).sum(axis=-1)
    chi = (100 * np.exp(-away / (2 * width_mm**2))).astype(np.float32)
    return Scan(chi, chi, np.ones(geometry.matrix, bool), geometry)


@pytest.mark.parametrize("first", [STRAIGHT, BACKWARDS, TURNED])
@pytest.mark.parametrize("later", [STRAIGHT, BACKWARDS, TURNED])
def test_a_head_that_moved_did_not_change(first, later):
    moved = motion(10, (4, -3, 2))
    found = halfway(spot(first), spot(later, (moved @ [*SPOT, 1])[:3]), moved)
    assert found.valid.mean() > 0.5
    assert found.chi[0].max() > 90
    assert np.abs(found.change).max() < 1.5  # of 100 ppb, through linear interpolation twice


def off_voxel(matrix, geometry):
    """How far (voxels, x y z) points of the grid between are from the next voxel of a scan."""
    at = np.linalg.inv(geometry.affine) @ matrix @ [0, 0, 0, 1]
    return np.abs(at - np.round(at))[:3]


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, -0.8, 0), (0, 0, 1.2), (5, 4.4, 3.1), (0, 0, 0)])
def test_a_shift_blurs_both_visits_alike(shift):
    found = halfway(spot(STRAIGHT), spot(STRAIGHT), motion(shift=shift))
    of_first, of_later = (off_voxel(m, STRAIGHT) for m in (found.to_first, found.to_later))
    np.testing.assert_allclose(of_first, of_later, atol=1e-9)


def test_a_head_that_lies_as_before_is_not_interpolated():
    found = halfway(spot(STRAIGHT), spot(STRAIGHT), np.eye(4))
    np.testing.assert_array_equal(found.chi[0], spot(STRAIGHT).chi)


def test_a_change_keeps_its_sign():
    before, after = spot(STRAIGHT), spot(STRAIGHT)
    found = halfway(before, replace(after, chi=1.3 * after.chi), np.eye(4))
    assert found.change.max() == pytest.approx(0.3 * before.chi.max(), rel=1e-4)


def test_slices_counted_backwards_are_no_rotation():
    found = halfway(spot(STRAIGHT), spot(TURNED), np.eye(4))
    np.testing.assert_allclose(found.to_later[:3, :3], found.to_first[:3, :3], atol=1e-12)


def test_the_grid_follows_the_head_when_the_table_moved():
    far = replace(STRAIGHT, position=(3, -4, 305))
    found = halfway(spot(STRAIGHT), spot(far, np.add(SPOT, (0, 0, 300))), motion(shift=(0, 0, 300)))
    assert found.valid.all()
    assert np.abs(found.change).max() < 1e-3


def test_maps_that_share_nothing_are_refused():
    with pytest.raises(QsmError, match="no voxel in common"):
        halfway(spot(STRAIGHT), spot(STRAIGHT), motion(shift=(300, 0, 0)))
