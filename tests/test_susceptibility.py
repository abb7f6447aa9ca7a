"""What chi is relative to, the second pass, and what is done when neither can be."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import susceptibility
from gadgetron_qsm.sections import BackgroundSettings, InversionSettings
from gadgetron_qsm.susceptibility import quantify
from tests.analytic import coordinates
from tests.nuclei import BLEED, CSF, IRON, SHAPE, VOXEL_SIZE, volume

BY_CSF = {"reference.region": "csf"}
TWO_PASS = {"mask.two_pass": "true", "inversion.method": "tv"}
MEDI = {"inversion.method": "medi", "inversion.iterations": "1", "inversion.cg_iterations": "2"}
NO_CSF = "csf: no voxel within 30 mm of the brain's centre decays as slowly as CSF"


def test_chi_is_0_on_average_in_the_ventricle_that_was_found_and_says_so():
    scan = volume(BY_CSF)
    chi, csf = quantify(scan).chi, scan.csf(quantify(scan).mask)
    assert csf.any()
    assert not csf[~CSF].any()
    assert chi[csf].mean() == pytest.approx(0, abs=1e-6)
    assert scan.journal.provenance["reference"]["region"] == "CSF of the ventricles"
    told = scan.journal.quality["reference"]
    assert told["region"] == "CSF of the ventricles"
    assert told["volume_ml"] == pytest.approx(csf.sum() * np.prod(VOXEL_SIZE) / 1000)


def test_what_is_told_of_the_reference_turns_the_map_back_to_that_of_the_brain():
    by_csf, by_brain = volume(BY_CSF), volume()
    referenced, found = quantify(by_csf), quantify(by_brain)
    shift_ppb = by_csf.journal.quality["reference"]["mean_ppb"]
    back = referenced.chi + shift_ppb / 1000
    np.testing.assert_allclose(back[found.mask], found.chi[found.mask], atol=1e-5)
    assert by_brain.journal.provenance["reference"]["region"] == "whole brain"


@pytest.mark.parametrize(
    ("scene", "why"),
    [({"csf": False}, NO_CSF), ({"count": 1}, "r2star: R2* needs at least two echoes")],
)
def test_without_csf_chi_is_relative_to_the_brain_with_a_warning(scene, why):
    scan = volume(BY_CSF, **scene)
    found = quantify(scan)
    assert found.chi[found.mask].mean() == pytest.approx(0, abs=1e-6)
    assert scan.journal.provenance["reference"]["region"] == "whole brain"
    (warning,) = scan.journal.warnings
    assert warning == f"chi is relative to the whole brain, not to CSF: {why}"


def test_an_inversion_that_makes_csf_uniform_gets_it(monkeypatch):
    told = {}

    def invert(field, *_, csf=None, **__):
        told["csf"] = csf
        return np.zeros_like(field)

    monkeypatch.setitem(InversionSettings.METHODS, "medi", invert)
    quantify(volume({"inversion.method": "medi"}))
    assert told["csf"].any()
    assert not told["csf"][~CSF].any()


def test_an_inversion_that_makes_csf_uniform_does_without():
    scan = volume(MEDI, csf=False)
    chi = quantify(scan).chi
    assert chi[IRON].mean() > chi[CSF].mean() + 0.05
    (warning,) = scan.journal.warnings
    assert warning == f"the inversion takes no CSF as uniform: {NO_CSF}"


@pytest.fixture
def passes(monkeypatch):
    """An inversion whose chi is x where the mask is whole, and y where it has holes."""
    _, y, x = coordinates(SHAPE, VOXEL_SIZE).astype(np.float32)
    masks = []

    def invert(_field, mask, *_, **__):
        masks.append(mask)
        return x if len(masks) == 1 else y

    monkeypatch.setitem(InversionSettings.METHODS, "tv", invert)
    monkeypatch.setitem(
        BackgroundSettings.METHODS, "vsharp", lambda field, mask, *_, **__: (field, mask)
    )
    return masks


def test_two_passes_take_the_bleed_from_the_whole_mask_and_the_rest_from_reliable_voxels(passes):
    found = quantify(volume(TWO_PASS, bleed=True))
    whole, sure = passes
    assert whole[BLEED].all()
    assert sure[BLEED].mean() < 0.2
    np.testing.assert_array_equal(found.mask, whole)
    _, y, x = coordinates(SHAPE, VOXEL_SIZE)
    hole = whole & ~sure
    assert np.ptp((found.chi - y)[sure]) < 1e-4
    assert np.ptp((found.chi - x)[hole]) < 1e-4


def test_one_pass_has_no_second_mask(passes):
    quantify(volume({"inversion.method": "tv"}, bleed=True))
    assert len(passes) == 1


def test_a_first_pass_that_is_refused_leaves_the_map_of_the_whole_mask(monkeypatch):
    def refuse(*_):
        raise ValueError("nothing can be trusted")

    monkeypatch.setattr(susceptibility, "reliable", refuse)
    twice, once = volume(TWO_PASS), volume({"inversion.method": "tv"})
    np.testing.assert_array_equal(quantify(twice).chi, quantify(once).chi)
    (warning,) = twice.journal.warnings
    assert warning.endswith("two_pass: nothing can be trusted")
    assert "two_pass" not in twice.journal.provenance
