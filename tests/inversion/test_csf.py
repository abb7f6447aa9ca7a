from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.inversion.csf import csf_mask
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.labels import read_labels
from tests.analytic import ball, distance

SHAPE, VOXEL = (31, 42, 53), (3.0, 2.0, 1.5)
BRAIN = ball(SHAPE, VOXEL, 39, centre=(3, 0, -2))
LEFT, RIGHT = (ball(SHAPE, VOXEL, 9, centre=(6, 2, x)) for x in (-12, 9))
SULCUS, SPECK = BRAIN & ~ball(SHAPE, VOXEL, 32), ball(SHAPE, VOXEL, 4, centre=(-12, 8, 0))


def decay(at_3t=True):
    """R2* of a brain with two ventricles, a sulcus around it, and a speck."""
    r2star = np.where(LEFT | RIGHT | SULCUS | SPECK, 3, 18)
    noise = 0.5 * np.random.default_rng(0).standard_normal(SHAPE)
    return ((r2star + noise) * (1 if at_3t else 2)).astype(np.float32)


@pytest.mark.parametrize("at_3t", [True, False])
def test_both_ventricles_are_found_and_nothing_else_at_any_field_strength(at_3t):
    found = csf_mask(decay(at_3t), BRAIN, VOXEL)
    assert not (found & ~LEFT & ~RIGHT).any()
    for ventricle in (LEFT, RIGHT):
        assert found[ventricle].mean() > 0.3


def test_no_voxel_beside_tissue_is_taken():
    found = csf_mask(decay(), BRAIN, VOXEL)
    neighbours = [np.roll(found, step, axis) for axis in range(3) for step in (-1, 1)]
    assert not (np.any(neighbours, axis=0) & ~LEFT & ~RIGHT).any()


def test_how_far_from_the_centre_of_the_brain_is_in_mm():
    found = csf_mask(decay(), BRAIN, VOXEL, radius_mm=12.0)
    assert found.any()
    assert distance(SHAPE, VOXEL, (3, 0, -2))[found].max() < 12.5


def test_decay_outside_the_brain_has_no_say():
    broken = np.where(BRAIN, decay(), np.nan)
    np.testing.assert_array_equal(csf_mask(broken, BRAIN, VOXEL), csf_mask(decay(), BRAIN, VOXEL))


def test_nothing_outside_the_brain_is_found():
    brain = BRAIN & ~ball(SHAPE, VOXEL, 6, centre=(6, 2, -14))
    found = csf_mask(decay(), brain, VOXEL)
    assert found[LEFT].any()
    assert not found[~brain].any()


def test_it_is_the_same_on_a_device(device):
    found = csf_mask(device(decay()), device(BRAIN), VOXEL)
    np.testing.assert_array_equal(found.get(), csf_mask(decay(), BRAIN, VOXEL))


def test_the_ventricles_of_a_head_are_found(shared_data):
    head = read_labels(shared_data / "phantom" / "labels_1mm.nii.gz")
    labels = head.labels[::2, ::2, ::2]
    brain = np.isin(labels, tissue.BRAIN)
    r2star = tissue.lookup(tissue.TISSUES, "r2star_hz")[labels]
    r2star += 2 * np.random.default_rng(0).standard_normal(r2star.shape)
    found = csf_mask(r2star.astype(np.float32), brain, [2 * s for s in head.voxel_size])
    assert (labels[found] == tissue.CSF).mean() > 0.99
    assert found.sum() * 8 > 2000  # mm^3
    middle = np.nonzero(brain)[2].mean()
    left, right = (np.count_nonzero(np.nonzero(found)[2] * s > middle * s) for s in (-1, 1))
    assert min(left, right) > 0.3 * max(left, right)


def test_a_brain_without_csf_is_refused():
    with pytest.raises(ValueError, match=r"no voxel within 30 mm .* as slowly as CSF"):
        csf_mask(np.full(SHAPE, 18, np.float32), BRAIN, VOXEL)


def test_an_empty_brain_is_refused():
    with pytest.raises(ValueError, match="the brain mask is empty"):
        csf_mask(decay(), np.zeros(SHAPE, bool), VOXEL)
