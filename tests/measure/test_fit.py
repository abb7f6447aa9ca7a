import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from gadgetron_qsm.measure.fit import fit
from gadgetron_qsm.measure.resample import affine_of
from tests.measure.head import grid
from tests.measure.iron_head import atlas, scan

STRAIGHT, TILTED = grid((4.0,) * 3), grid((4.0,) * 3, turn=(20, -10, 5), left_handed=True)
NOTHING = sitk.Transform(3, sitk.sitkIdentity)


@pytest.mark.parametrize("geometry", [STRAIGHT, TILTED], ids=["straight", "tilted"])
def test_an_atlas_that_lies_right_has_good_numbers(geometry):
    quality = fit(atlas(), scan(geometry), NOTHING)
    assert quality["overlap"] > 0.95
    assert quality["explained"] > 0.5
    assert quality["contrast"] > 0.8
    assert quality["smallest_jacobian"] == pytest.approx(1)
    assert quality["largest_jacobian"] == pytest.approx(1)


def test_one_that_lies_beside_has_worse_ones():
    beside = affine_of(np.eye(4) + np.pad([[20.0]], ((1, 2), (3, 0))))
    quality, good = (fit(atlas(), scan(STRAIGHT), t) for t in (beside, NOTHING))
    assert quality["overlap"] < good["overlap"] - 0.05
    assert quality["explained"] < 0.6 * good["explained"]
    assert quality["contrast"] < 0.5


@pytest.mark.parametrize("geometry", [STRAIGHT, TILTED], ids=["straight", "tilted"])
def test_the_jacobian_is_the_ratio_of_volumes(geometry):
    quality = fit(atlas(), scan(geometry), affine_of(np.diag([1.2, 0.9, 1.0, 1.0])))
    assert quality["smallest_jacobian"] == pytest.approx(1.08, rel=1e-3)
    assert quality["largest_jacobian"] == pytest.approx(1.08, rel=1e-3)


def test_an_atlas_without_iron_says_nothing_of_contrast():
    assert "contrast" not in fit(atlas(name="thalamus"), scan(STRAIGHT), NOTHING)


def test_noise_is_explained_by_nothing():
    noise = scan(STRAIGHT, magnitude=np.random.default_rng(1).random(STRAIGHT.matrix, np.float32))
    assert fit(atlas(), noise, NOTHING)["explained"] < 0.02
