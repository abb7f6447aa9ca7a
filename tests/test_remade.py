"""What the noise of a map is made from."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import remade
from gadgetron_qsm.contrasts import Contrasts
from gadgetron_qsm.susceptibility import quantify
from tests.nuclei import SHAPE, volume

SIGMA = 0.003  # of the scan of nuclei.py


@pytest.mark.parametrize("settings", [{}, {"field.method": "nonlinear"}, {"field.offset": "true"}])
def test_the_noise_added_is_that_of_the_images_whatever_the_fit_of_the_field(settings, monkeypatch):
    added = []

    def samples(_echoes, noise, _remake, **_):
        added.append(noise)
        return np.zeros((2, *SHAPE), np.float32)

    monkeypatch.setattr(remade, "noise_samples", samples)
    scan = volume(settings)
    remade.chi_noise(scan, quantify(scan), 2)
    assert added == [pytest.approx(SIGMA, rel=0.15)]


def test_two_echoes_that_a_line_with_an_offset_explains_show_no_noise():
    scan = volume({"field.method": "nonlinear"}, count=2)
    assert dict(Contrasts(scan, quantify(scan)).made(["noise"])) == {}
    assert scan.journal.warnings == [
        "no noise map: noise: 2 numbers fitted to 2 echoes leave no noise to see"
    ]
