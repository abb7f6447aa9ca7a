from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.tswi import smwi, tswi

CHI = np.array([[[-0.5, 0.0, 0.09, 0.225, 0.45, 0.9]]], np.float32)
MAGNITUDE = np.stack([np.full(CHI.shape, 3.0), np.full(CHI.shape, 4.0)]).astype(np.float32)


def test_tswi_darkens_the_root_of_the_sum_of_squares_where_chi_is_positive():
    np.testing.assert_allclose(
        tswi(MAGNITUDE, CHI), 5 * np.array([[[1, 1, 0.64, 0.25, 0, 0]]]), atol=1e-5
    )


def test_smwi_falls_more_slowly_and_is_multiplied_more_often():
    expected = 5 * np.array([[[1, 1, 0.91**4, 0.775**4, 0.55**4, 0.1**4]]])
    np.testing.assert_allclose(smwi(MAGNITUDE, CHI), expected, atol=1e-5)


def test_diamagnetic_smwi_darkens_what_is_diamagnetic():
    found = smwi(MAGNITUDE, CHI, source="diamagnetic")
    np.testing.assert_allclose(found, 5 * np.array([[[0.5**4, 1, 1, 1, 1, 1]]]), atol=1e-5)


@pytest.mark.parametrize("method", [tswi, smwi])
def test_threshold_and_multiplications_are_taken(method):
    found = method(MAGNITUDE, CHI, threshold_ppm=0.9, multiplications=1)
    np.testing.assert_allclose(found, 5 * np.array([[[1, 1, 0.9, 0.75, 0.5, 0]]]), atol=1e-5)


@pytest.mark.parametrize("method", [tswi, smwi])
def test_a_threshold_of_0_is_refused(method):
    with pytest.raises(ValueError, match="must be above 0"):
        method(MAGNITUDE, CHI, threshold_ppm=0.0)


@pytest.mark.parametrize("method", [tswi, smwi])
def test_it_agrees_on_a_device(method, device):
    found = method(device(MAGNITUDE), device(CHI))
    np.testing.assert_allclose(found.get(), method(MAGNITUDE, CHI), rtol=1e-6)


def test_diamagnetic_smwi_agrees_on_a_device(device):
    found = smwi(device(MAGNITUDE), device(CHI), source="diamagnetic")
    np.testing.assert_allclose(found.get(), smwi(MAGNITUDE, CHI, source="diamagnetic"), rtol=1e-6)
