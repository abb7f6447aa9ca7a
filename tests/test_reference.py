from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.reference import refer

SHAPE, VOXEL = (7, 8, 9), (2.0, 1.0, 0.5)
RNG = np.random.default_rng(0)
BRAIN = RNG.random(SHAPE) < 0.7
REGION = RNG.random(SHAPE) < 0.2
CHI = RNG.normal(0.3, 0.05, SHAPE).astype(np.float32)
CHI[REGION] += 0.02


def test_the_whole_brain_is_the_reference_unless_another_is_named():
    chi, reference = refer(CHI, BRAIN, VOXEL)
    assert chi[BRAIN].mean() == pytest.approx(0, abs=1e-7)
    assert reference.name == "whole brain"
    assert reference.mean_ppb == pytest.approx(0, abs=1e-4)
    assert reference.sd_ppb == pytest.approx(1000 * CHI[BRAIN].std(), rel=1e-5)
    assert reference.volume_ml == pytest.approx(BRAIN.sum() / 1000)


def test_a_region_reads_0_and_is_reported_relative_to_the_whole_brain():
    chi, reference = refer(CHI, BRAIN, VOXEL, region=REGION, name="CSF")
    part = BRAIN & REGION
    assert chi[part].mean() == pytest.approx(0, abs=1e-7)
    assert reference.name == "CSF"
    expected = 1000 * (CHI[part].mean(dtype=float) - CHI[BRAIN].mean(dtype=float))
    assert reference.mean_ppb == pytest.approx(expected, abs=1e-3)
    assert reference.sd_ppb == pytest.approx(1000 * CHI[part].std(), rel=1e-5)


def test_what_is_reported_turns_one_reference_into_the_other():
    chi, reference = refer(CHI, BRAIN, VOXEL, region=REGION, name="CSF")
    whole, _ = refer(CHI, BRAIN, VOXEL)
    np.testing.assert_allclose((chi + reference.mean_ppb / 1000)[BRAIN], whole[BRAIN], atol=1e-6)


def test_differences_are_kept_and_outside_the_brain_it_is_0():
    chi, _ = refer(np.where(BRAIN, CHI, np.nan), BRAIN, VOXEL, region=REGION, name="x")
    assert chi.dtype == np.float32
    np.testing.assert_array_equal(chi[~BRAIN], 0)
    np.testing.assert_allclose(np.diff(chi[BRAIN]), np.diff(CHI[BRAIN]), atol=1e-6)


def test_a_region_outside_the_brain_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"no voxel of the reference region \(CSF\) lies in the"):
        refer(CHI, BRAIN, VOXEL, region=~BRAIN, name="CSF")


def test_an_empty_brain_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        refer(CHI, np.zeros(SHAPE, bool), VOXEL)


def test_it_agrees_on_a_device(device):
    chi, reference = refer(device(CHI), device(BRAIN), VOXEL, region=device(REGION), name="CSF")
    expected, stated = refer(CHI, BRAIN, VOXEL, region=REGION, name="CSF")
    np.testing.assert_allclose(chi.get(), expected, atol=1e-7)
    assert reference.mean_ppb == pytest.approx(stated.mean_ppb)
    assert isinstance(reference.sd_ppb, float)


def test_the_whole_brain_agrees_on_a_device(device):
    chi, reference = refer(device(CHI), device(BRAIN), VOXEL)
    expected, stated = refer(CHI, BRAIN, VOXEL)
    np.testing.assert_allclose(chi.get(), expected, atol=1e-7)
    assert reference.sd_ppb == pytest.approx(stated.sd_ppb)
    assert reference.volume_ml == stated.volume_ml


def test_what_cannot_be_is_refused_on_a_device(device):
    empty = np.zeros(SHAPE, bool)
    with pytest.raises(ValueError, match="the mask is empty"):
        refer(device(CHI), device(empty), VOXEL)
    with pytest.raises(ValueError, match="no voxel of the reference region"):
        refer(device(CHI), device(BRAIN), VOXEL, region=device(~BRAIN))
