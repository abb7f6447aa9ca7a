from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.r2star_qsm import r2star_qsm

PARA = np.array([[[0.1, 0.05, 0.0, 0.2, 0.0]]], np.float32)
DIA = np.array([[[-0.02, -0.1, -0.15, 0.0, 0.0]]], np.float32)
CHI, MASK = PARA + DIA, np.ones(PARA.shape, bool)


def separate(rate, chi=CHI, mask=MASK, field_strength_t=3.0, **how):
    found = r2star_qsm(
        None,
        rate,
        mask,
        (1.0, 1.0, 1.0),
        (1.0, 0.0, 0.0),
        chi=chi,
        field_strength_t=field_strength_t,
        **how,
    )
    assert all(part.dtype == np.float32 for part in found)
    return found


@pytest.mark.parametrize(("para", "dia"), [(274.0, 274.0), (150.0, 300.0)])
@pytest.mark.parametrize("field_strength_t", [1.5, 3.0, 7.0])
def test_sources_that_made_chi_and_rate_come_back(para, dia, field_strength_t):
    rate = 12 + (para * PARA + dia * -DIA) * field_strength_t / 3
    positive, negative = separate(
        rate,
        field_strength_t=field_strength_t,
        relaxivity_positive=para,
        relaxivity_negative=dia,
        r2_hz=12.0,
    )
    np.testing.assert_allclose(positive, PARA, atol=1e-6)
    np.testing.assert_allclose(negative, DIA, atol=1e-6)


def test_the_default_relaxivity_is_274_for_each_ppm_at_3_t():
    positive, negative = separate(274 * (PARA - DIA))
    np.testing.assert_allclose(positive, PARA, atol=1e-6)
    np.testing.assert_allclose(negative, DIA, atol=1e-6)


def test_sources_add_up_to_chi_and_have_their_signs_whatever_the_rate():
    rng = np.random.default_rng(0)
    chi = rng.normal(scale=0.1, size=(5, 6, 7)).astype(np.float32)
    rate = rng.uniform(0, 60, chi.shape).astype(np.float32)
    mask = np.ones(chi.shape, bool)
    positive, negative = separate(rate, chi, mask, r2_hz=15.0)
    assert positive.min() >= 0
    assert negative.max() <= 0
    np.testing.assert_allclose(positive + negative, chi, atol=1e-6)


def test_a_rate_too_small_for_chi_makes_a_source_pure():
    positive, negative = separate(np.full(CHI.shape, 1.0))
    np.testing.assert_allclose(positive, np.maximum(CHI, 0), atol=2e-3)
    np.testing.assert_allclose(negative, np.minimum(CHI, 0), atol=2e-3)


def test_outside_the_mask_it_is_0_and_nan_stays_outside():
    mask = np.array([[[True, True, True, False, False]]])
    rate, chi = (np.where(mask, x, np.nan) for x in (274 * (PARA - DIA), CHI))
    for found, true in zip(separate(rate, chi, mask), (PARA, DIA), strict=True):
        np.testing.assert_allclose(found, np.where(mask, true, 0), atol=1e-6)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        separate(PARA, mask=~MASK)


@pytest.mark.parametrize(
    "wrong", [{"field_strength_t": 0.0}, {"relaxivity_positive": 0.0}, {"relaxivity_negative": -1}]
)
def test_a_relaxivity_or_field_strength_of_0_or_less_is_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        separate(PARA, **wrong)


def test_it_agrees_on_a_device(device):
    rate = 300 * (PARA - DIA)
    found = separate(device(rate), device(CHI), device(MASK))
    for a, b in zip(found, separate(rate), strict=True):
        np.testing.assert_allclose(a.get(), b, atol=1e-6)
