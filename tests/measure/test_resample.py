import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from gadgetron_qsm.measure.resample import affine_of, matrix_of, resampled
from tests.measure.head import grid, motion, points, signal

FINE = grid((2.0,) * 3)
OBLIQUE = grid((3.0, 2.0, 2.5), turn=(15, -8, 30), position=(4, -6, 2), left_handed=True)
MOVED = motion((1, 2, -1), 12, (4, -3, 6))


def test_a_head_on_another_grid_is_where_it_was():
    there = resampled(signal(FINE), FINE, OBLIQUE)
    assert there.dtype == np.float32
    head = signal(OBLIQUE)
    assert np.abs(there - head)[head > 0].mean() < 0.02


def test_the_transform_takes_points_of_the_new_grid_to_the_old():
    # a point p of the first scan is at MOVED p in the second one
    second = signal(OBLIQUE, MOVED)
    there = resampled(second, OBLIQUE, FINE, transform=MOVED)
    seen = resampled(np.ones_like(second), OBLIQUE, FINE, transform=MOVED) > 0.99
    assert np.corrcoef(there[seen], signal(FINE)[seen])[0, 1] > 0.99
    wrong = resampled(second, OBLIQUE, FINE, transform=np.linalg.inv(MOVED))
    assert np.corrcoef(wrong[seen], signal(FINE)[seen])[0, 1] < 0.9


def test_labels_keep_their_numbers_and_type():
    labels = np.where(signal(FINE) > 1.2, 2000, 0).astype(np.int16)
    there = resampled(labels, FINE, OBLIQUE, nearest=True)
    assert there.dtype == np.int16
    assert set(np.unique(there)) == {0, 2000}


def test_a_mask_is_one_of_bytes_by_nearest_and_a_share_by_interpolation():
    mask = points(FINE)[..., 0] < 1.0
    assert resampled(mask, FINE, FINE, nearest=True).dtype == np.uint8
    half = grid((2.0,) * 3, position=(1.0, 0, 0))
    share = resampled(mask, FINE, half)
    assert set(np.unique(share[:, :, :-1]).tolist()) == {0, 0.5, 1}


def test_nothing_is_outside():
    far = grid((2.0,) * 3, position=(1000, 0, 0))
    assert not resampled(signal(FINE) + 1, FINE, far).any()


@pytest.mark.parametrize(
    "transform", [affine_of(MOVED), sitk.CompositeTransform([affine_of(MOVED)])]
)
def test_a_linear_transform_is_its_matrix(transform):
    np.testing.assert_allclose(matrix_of(transform), MOVED, atol=1e-12)
