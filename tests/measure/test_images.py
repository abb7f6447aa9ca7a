import numpy as np
import pytest

from gadgetron_qsm.measure.images import array_of, coarser, geometry_of, image_of
from tests.measure.head import grid, points, signal

GRIDS = {
    "straight": grid((2.0, 1.5, 1.0), fov=(20, 21, 22)),
    "oblique": grid((2.0, 1.5, 1.0), fov=(20, 21, 22), turn=(20, -10, 35), position=(5, 9, -30)),
    "left-handed": grid((1.0, 1.5, 2.0), fov=(9, 9, 10), turn=(70, 5, 0), left_handed=True),
}


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=list(GRIDS))
def test_an_image_lies_where_the_array_did(geometry):
    data = np.random.default_rng(1).standard_normal(geometry.matrix).astype(np.float32)
    image = image_of(data, geometry)
    np.testing.assert_array_equal(array_of(image), data)
    back = geometry_of(image)
    assert back.matrix == geometry.matrix
    np.testing.assert_allclose(back.affine, geometry.affine, atol=1e-9)


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=list(GRIDS))
def test_a_point_of_the_patient_is_in_the_voxel_that_the_affine_names(geometry):
    image = image_of(np.zeros(geometry.matrix, np.uint8), geometry)
    for x, y, z in ((0, 0, 0), (2, 4, 3)):
        point = image.TransformIndexToPhysicalPoint((x, y, z))
        np.testing.assert_allclose(point, geometry.affine[:3] @ [x, y, z, 1], atol=1e-9)


def test_bytes_in_the_other_order_are_the_same_numbers():
    data = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    np.testing.assert_array_equal(array_of(image_of(data, grid((1.0,) * 3, fov=(2, 3, 4)))), data)


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="the grid"):
        image_of(np.zeros((2, 3, 4)), grid((1.0,) * 3, fov=(4, 3, 2)))


@pytest.mark.parametrize("fov", [(40, 40, 40), (41, 43, 39)])
def test_coarser_voxels_show_the_same_thing_in_the_same_place(fov):
    geometry = grid((1.0, 1.0, 2.5), fov=fov, turn=(10, 0, 30), position=(20, 5, 0))
    ramp = points(geometry) @ [1.0, -2.0, 3.0]
    image = coarser(image_of(ramp, geometry), 2.0)
    coarse = geometry_of(image)
    assert coarse.voxel_size == pytest.approx((2.0, 2.0, 2.5))
    inner = (slice(3, -3),) * 3
    expected = points(coarse) @ [1.0, -2.0, 3.0]
    np.testing.assert_allclose(array_of(image)[inner], expected[inner], atol=1e-3)


def test_coarse_voxels_do_not_alias_the_noise_of_fine_ones():
    geometry = grid((1.0,) * 3, fov=(60, 60, 60))
    noise = np.random.default_rng(1).standard_normal(geometry.matrix)
    assert array_of(coarser(image_of(noise, geometry), 3.0))[3:-3, 3:-3, 3:-3].std() < 0.35


def test_what_is_coarse_already_stays():
    geometry = grid((4.0,) * 3)
    head = signal(geometry)
    np.testing.assert_array_equal(array_of(coarser(image_of(head, geometry), 2.0)), head)
