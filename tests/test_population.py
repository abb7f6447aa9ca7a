from __future__ import annotations

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.phantom import tissue
from tests.benchmarks.population import SPREAD, subject

SIZE = 60  # mm


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A ball of white matter with two putamens, the patient's left one the longer."""
    away = np.linalg.norm(np.indices((SIZE,) * 3) - SIZE / 2, axis=0)
    drawn = np.full((SIZE,) * 3, tissue.AIR, np.uint8)
    drawn[away < 28] = tissue.SOFT
    drawn[away < 24] = tissue.WHITE
    drawn[38:46, 24:32, 24:32] = tissue.PUTAMEN
    drawn[14:22, 20:36, 24:32] = tissue.PUTAMEN
    path = tmp_path_factory.mktemp("head") / "labels.nii.gz"
    nibabel.save(nibabel.Nifti1Image(drawn, np.eye(4)), path)  # RAS: x goes to the right
    return path


def regions_of(drawn):
    """The putamens that were drawn: masks and truth by side."""
    found = {}
    for structure, given in drawn.truth.items():
        if structure.name == "putamen":
            found[structure.side] = drawn.labels.mask(structure), given
    return found


def test_sides_are_the_patients(labels):
    drawn = subject(labels, 0, still=True)
    (left, _), (right, _) = (regions_of(drawn)[side] for side in ("left", "right"))
    assert left.sum() > 1.5 * right.sum()
    x = drawn.geometry.affine[0, 0] * np.arange(left.shape[2])
    assert (x * left.sum(axis=(0, 1))).sum() / left.sum() > x.mean()


def test_truth_is_what_the_nuclei_hold_relative_to_the_brain(labels):
    drawn = subject(labels, 3)
    head = drawn.head
    chi = 1000 * (head.chi - head.chi[head.brain].mean(dtype=float))
    usual = 1000 * tissue.TISSUES[tissue.PUTAMEN].chi_ppm
    truths = []
    for mask, given in regions_of(drawn).values():
        assert np.percentile(chi[mask], 90) == pytest.approx(given, abs=0.5)
        truths.append(given + 1000 * head.chi[head.brain].mean(dtype=float))
    assert truths[0] != pytest.approx(truths[1], abs=0.1)
    assert np.abs(np.array(truths) / usual - 1).max() <= SPREAD


def test_a_subject_is_the_same_each_time_and_lies_its_own_way(labels):
    first, again, other = (subject(labels, seed) for seed in (1, 1, 2))
    assert (first.head.echoes == again.head.echoes).all()
    still = subject(labels, 1, still=True)
    assert (
        first.labels.values.shape != still.labels.values.shape
        or (first.labels.values != still.labels.values).any()
    )
    assert set(first.truth.values()) != set(other.truth.values())
