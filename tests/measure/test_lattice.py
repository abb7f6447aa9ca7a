import itertools

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.lattice import laid_on
from gadgetron_qsm.nifti import LPS_TO_RAS, of_affine
from tests.measure.head import grid

SCAN = grid((2.0, 1.5, 1.0), fov=(10, 9, 8), turn=(20, -10, 15), position=(5, 9, -30))
LABELS = np.random.default_rng(1).integers(0, 5, SCAN.matrix).astype(np.uint8)


def stored(axes, signs):
    """The labels as another program stores them, and the geometry of that."""
    swapped = LABELS.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    back = np.zeros((4, 4))
    back[3, 3] = 1
    for own, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        row, column = 2 - axis, 2 - own  # affines are of (x, y, z)
        back[row, column] = sign
        back[row, 3] = 0 if sign > 0 else SCAN.matrix[axis] - 1
    return swapped, of_affine(LPS_TO_RAS @ SCAN.affine @ back, swapped.shape)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_labels_come_back_however_the_axes_were_stored(axes, signs):
    values, geometry = stored(axes, signs)
    np.testing.assert_array_equal(laid_on(values, geometry, SCAN, "labels.nii"), LABELS)


def test_labels_of_a_box_are_put_where_the_box_is():
    box = LABELS[1:4, 2:5]
    position = SCAN.affine @ [4, 2 + 1, 1 + 1, 1]  # voxel n // 2 of the box
    geometry = Geometry(
        box.shape,
        SCAN.voxel_size,
        tuple(position[:3]),
        SCAN.read_dir,
        SCAN.phase_dir,
        SCAN.slice_dir,
    )
    laid = laid_on(box, geometry, SCAN, "labels", part=True)
    np.testing.assert_array_equal(laid[1:4, 2:5], box)
    assert np.count_nonzero(laid) == np.count_nonzero(box)
    with pytest.raises(QsmError, match="its matrix 3 x 3 x 8"):
        laid_on(box, geometry, SCAN, "labels")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            grid((2.0, 1.5, 1.1), fov=(10, 9, 8.8), turn=(20, -10, 15)),
            "its voxels 2 x 1.5 x 1.1 mm",
        ),
        (grid((2.0, 1.5, 1.0), fov=(10, 9, 9), turn=(20, -10, 15)), "its matrix 5 x 6 x 9"),
        (grid((2.0, 1.5, 1.0), fov=(10, 9, 8), turn=(23, -10, 15)), "turned by 3.0 degrees"),
        (
            grid((2.0, 1.5, 1.0), fov=(10, 9, 8), turn=(20, -10, 15), position=(5, 9, -27)),
            "first voxels are 3.0 mm apart",
        ),
    ],
)
def test_another_grid_is_refused_with_what_differs(other, told):
    with pytest.raises(QsmError, match=told):
        laid_on(np.zeros(other.matrix, np.uint8), other, SCAN, "labels.nii.gz")
