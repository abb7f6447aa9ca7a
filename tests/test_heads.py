"""The heads that accuracy is measured on: their lesions are where and what they say."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.phantom import tissue
from tests.analytic import ball
from tests.benchmarks.heads import with_lesions
from tests.benchmarks.lesions import (
    BLEED_MM,
    CALCIFICATION_MM,
    reading,
    with_bleed_and_calcification,
    with_raised_putamen,
)


@pytest.fixture
def labels(tmp_path):
    """A NIfTI ball of white matter in soft tissue, a putamen on each side."""
    drawn = np.full((60, 66, 62), tissue.SOFT, np.uint8)
    drawn[ball(drawn.shape, (1, 1, 1), 26)] = tissue.WHITE
    drawn[20:24, 30:36, 28:32] = drawn[37:40, 30:36, 28:32] = tissue.PUTAMEN
    path = tmp_path / "labels.nii.gz"
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -30
    nibabel.save(nibabel.Nifti1Image(drawn, affine), path)
    return path


def test_bleed_and_calcification_have_their_volumes_and_values(labels, tmp_path):
    path, values = with_bleed_and_calcification(labels, tmp_path)
    drawn = np.asarray(nibabel.load(path).dataobj)
    for label, diameter in (
        (tissue.VEIN, BLEED_MM),
        (tissue.CALCIFICATION, CALCIFICATION_MM),
    ):
        assert (drawn == label).sum() == pytest.approx(np.pi / 6 * diameter**3, rel=0.25)
    table = tissue.load_tissues(values)
    assert table[tissue.VEIN].chi_ppm == 0.9
    assert table[tissue.CALCIFICATION].chi_ppm == -1.2


def test_the_raised_putamen_is_the_left_one(labels, tmp_path):
    path, values = with_raised_putamen(labels, tmp_path)
    drawn = np.asarray(nibabel.load(path).dataobj)
    assert (drawn[:30] == tissue.VEIN).sum() == 4 * 6 * 4  # x of RAS grows to the right
    assert (drawn[30:] == tissue.PUTAMEN).sum() == 3 * 6 * 4
    table = tissue.load_tissues(values)
    raised = table[tissue.VEIN].chi_ppm - tissue.TISSUES[tissue.PUTAMEN].chi_ppm
    assert raised == pytest.approx(0.03)


@pytest.mark.parametrize("content", [900, -1200])
def test_a_lesion_reads_what_is_there_and_where_it_fills_voxels(content):
    true = np.zeros((5, 5, 5))
    true[2, 2, 1:4] = content * np.array([0.5, 0.8, 0.76])
    measured = 0.8 * true + 3
    measured[0, 0, 0] = 5 * content
    peak, mean, of_truth = reading(measured, true, true != 0)
    assert peak == pytest.approx(0.64 * content + 3)
    assert mean == pytest.approx(0.624 * content + 3)
    assert of_truth == pytest.approx(0.78 * content)


def test_veins_and_the_calcification_of_the_head_are_in_the_brain():
    drawn = np.full((90, 100, 80), tissue.SOFT, np.uint8)
    inside = ball(drawn.shape, (1, 1, 1), 38)
    drawn[inside] = tissue.WHITE
    ill = with_lesions(drawn, seed=3)
    veins = ill == tissue.VEIN
    assert 200 < veins.sum() < 0.2 * inside.sum()
    assert not veins[~inside].any()
    assert (ill == tissue.CALCIFICATION).sum() == pytest.approx(np.pi / 6 * 3.5**3, rel=0.3)
    assert (drawn != tissue.VEIN).all()
