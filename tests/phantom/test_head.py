from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.head import HEAD_MM, head_labels

VOLUMES_ML = {  # of both sides, in adults
    tissue.CAUDATE: (6, 9),
    tissue.PALLIDUS: (2.5, 4),
    tissue.PUTAMEN: (8, 11),
    tissue.RED_NUCLEUS: (0.4, 0.8),
    tissue.NIGRA: (0.7, 1.3),
    tissue.DENTATE: (1.6, 2.6),
    tissue.THALAMUS: (9, 14),
    tissue.WHITE: (450, 700),
    tissue.GREY: (450, 750),
    tissue.CSF: (150, 400),
    tissue.VEIN: (5, 20),
}


def draw(size, seed=0):
    matrix = tuple(round(fov / size) for fov in HEAD_MM)
    return head_labels(matrix, (size,) * 3, seed)


@pytest.fixture(scope="module")
def head():
    return draw(1.5)


@pytest.mark.parametrize("label", VOLUMES_ML)
def test_tissues_have_the_volumes_of_adults(head, label):
    low, high = VOLUMES_ML[label]
    assert low < np.count_nonzero(head == label) * 1.5**3 / 1000 < high


@pytest.mark.parametrize("label", range(1, 8))
def test_each_nucleus_lies_on_both_sides(head, label):
    middle = head.shape[2] // 2
    right, left = (np.count_nonzero(side == label) for side in np.split(head, [middle], axis=2))
    assert 0.7 < left / right < 1.4


def test_air_surrounds_the_head_but_the_neck_leaves_at_the_bottom(head):
    faces = (head[-1], head[:, 0], head[:, -1], head[..., 0], head[..., -1])
    assert all((face == tissue.AIR).all() for face in faces)
    neck = np.count_nonzero(head[0] == tissue.SOFT) * 1.5**2 / 100
    assert 60 < neck < 160  # cm2
    assert not np.isin(head[0], tissue.BRAIN).any()


def test_air_cavities_lie_near_the_base_of_the_brain(head):
    cavity = np.array([ndimage.binary_fill_holes(plane) for plane in head != tissue.AIR])
    cavity &= head == tissue.AIR
    volume = cavity.sum(axis=(1, 2)) * 1.5**3 / 1000
    base = slice(round((98 - 50) / 1.5), round((98 + 10) / 1.5))  # 46 mm below to 14 mm above
    assert 15 < volume[base].sum() < 80
    assert volume[base.stop :].sum() == 0


def test_the_same_head_is_drawn_at_any_voxel_size():
    coarse = head_labels((60, 70, 56), (3.0, 3.0, 3.0))
    fine = head_labels((120, 140, 112), (1.5, 1.5, 1.5))
    assert np.mean(coarse == fine[::2, ::2, ::2]) > 0.999


def test_another_seed_draws_another_head(head):
    other = draw(1.5, seed=1)
    brain = np.isin(head, tissue.BRAIN)
    assert 0.02 < np.mean((other != head)[brain]) < 0.5
