from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Scan, tissue
from gadgetron_qsm.phantom.labels import embed, read_labels
from gadgetron_qsm.phantom.sampling import plan_grid


@pytest.fixture
def marked():
    """(right, anterior, superior): soft tissue, one voxel marked to the left, front and top."""
    labels = np.full((22, 24, 26), tissue.AIR, np.uint8)
    labels[2:20, 3:21, 4:22] = tissue.SOFT
    labels[5, 17, 18] = tissue.WHITE
    return labels


def placed(path, **protocol):
    head = read_labels(path)
    scan = Scan(**{"voxel_size_mm": (1.0,) * 3, "fine_per_voxel": 1, **protocol})
    grid = plan_grid(scan, head.fov_mm, head.voxel_size)
    return embed(head, grid), grid


def test_axes_become_head_back_left(marked, label_file):
    labels, grid = placed(label_file(marked))
    (mark,) = np.argwhere(labels == tissue.WHITE)
    # the middle of the head, voxel 11 or 12 of (2..19, 3..20, 4..21), is the centre of the view
    offset = mark - np.array(grid.matrix) // 2
    assert offset.tolist() == [18 - 13, 11 - 17, 10 - 5]


@pytest.mark.parametrize("orientation", ["LPS", "SAR", "PIL"])
def test_any_orientation_gives_the_same_head(marked, label_file, orientation):
    path = label_file(marked)
    expected, _ = placed(path)
    image = nibabel.load(path)
    turn = nibabel.orientations.axcodes2ornt(orientation)
    nibabel.save(
        image.as_reoriented(
            nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), turn)
        ),
        path,
    )
    np.testing.assert_array_equal(placed(path)[0], expected)


def test_each_label_is_cut_into_equal_parts(marked, label_file):
    labels, _ = placed(label_file(marked), fine_per_voxel=3)
    assert np.count_nonzero(labels == tissue.WHITE) == 27
    assert np.count_nonzero(labels == tissue.SOFT) == 27 * (18**3 - 1)


def test_air_surrounds_the_head(marked, label_file):
    labels, _ = placed(label_file(marked))
    found = np.argwhere(labels != tissue.AIR)
    assert found.min(axis=0).min() >= 7
    assert (np.array(labels.shape) - found.max(axis=0)).min() >= 7


def test_a_neck_cut_by_the_labels_goes_on_to_the_bottom_without_brain(marked, label_file):
    marked[..., :4] = marked[..., 4:5]
    marked[10, 12, 0] = tissue.CSF
    labels, _ = placed(label_file(marked), voxel_size_mm=(2.0,) * 3, matrix=(22, 20, 20))
    tall = (labels != tissue.AIR).any(axis=(1, 2))
    assert np.flatnonzero(tall).tolist() == list(range(np.count_nonzero(tall)))
    assert np.count_nonzero(labels[0] == tissue.SOFT) == 18 * 18
    assert np.count_nonzero(labels == tissue.CSF) == 1


def test_background_0_is_air(marked, label_file):
    expected, _ = placed(label_file(marked))
    marked[marked == tissue.AIR] = 0
    np.testing.assert_array_equal(placed(label_file(marked))[0], expected)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.ones((4, 4, 4, 2), np.uint8), "4 dimensions"),
        (np.full((4, 4, 4), 1.5, np.float32), "not whole numbers"),
        (np.full((4, 4, 4), np.nan, np.float32), "not whole numbers"),
        (np.full((4, 4, 4), 300, np.int16), "not whole numbers"),
        (np.full((4, 4, 4), -1, np.int16), "not whole numbers"),
        (np.zeros((4, 4, 4), np.uint8), "nothing but air"),
    ],
)
def test_what_is_no_map_of_labels_is_refused(label_file, labels, complaint):
    with pytest.raises(QsmError, match=complaint):
        read_labels(label_file(labels))


def test_an_absent_file_is_refused():
    with pytest.raises(QsmError, match="there is no label file"):
        read_labels(Path("absent.nii.gz"))


def test_a_file_that_is_not_nifti_is_refused(tmp_path):
    path = tmp_path / "labels.nii"
    path.write_text("nothing of the kind")
    with pytest.raises(QsmError, match="cannot read the labels"):
        read_labels(path)


def test_voxels_smaller_than_the_labels_are_refused(marked, label_file):
    with pytest.raises(QsmError, match="smaller than the labels'"):
        placed(label_file(marked, (2, 2, 2)))
