from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.kspace.grappa import neighbours
from gadgetron_qsm.kspace.kernels import Kernels, measure
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.kspace.sampling import CENTRE
from tests.kspace.hybrid import points

LATTICE = Lattice((2, 2), (0, 1))


def test_weights_between_nodes_are_linear_and_beyond_them_constant():
    line = np.zeros((1, 2), int)
    weights = np.array([1, 3j], np.complex64).reshape(2, 1, 1, 1, 1)
    kernels = Kernels(weights, np.array([1.0, 5.0]), line, line, (8, 8))
    values = kernels.at(np.array([0, 1, 2, 3, 5, 7])).ravel()
    np.testing.assert_allclose(values, [1, 1, 0.75 + 0.75j, 0.5 + 1.5j, 3j, 3j], atol=1e-6)


@pytest.mark.parametrize("lattice", [LATTICE, Lattice((1, 3))], ids=str)
def test_the_weights_predict_the_lines_of_a_cell_from_those_around_it(lattice):
    shape = (26, 27)
    full = points(shape)
    moments = measure(full, *neighbours(lattice, shape))
    kernels = moments.kernels(shape, 1e-7)
    weights = kernels.at(np.arange(full.shape[-1]))
    cell = np.array([9, 11])
    sources, targets = (
        full[0][(slice(None), *(cell + lines).T)].transpose(2, 1, 0).reshape(full.shape[-1], 1, -1)
        for lines in (kernels.sources, kernels.targets)
    )
    np.testing.assert_allclose(sources @ weights, targets, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("scale", [2.0**-33, 2.0**33])
def test_the_scale_of_the_calibration_does_not_matter(scale):
    full = points((20, 21))
    sources, targets = neighbours(LATTICE, (20, 21))
    plain, scaled = (
        measure(data, sources, targets).kernels((20, 21), 1e-3).weights
        for data in (full, np.float32(scale) * full)
    )
    np.testing.assert_array_equal(scaled, plain)


def test_patterns_solved_together_have_the_weights_of_each_alone(device):
    sources, targets = neighbours(LATTICE, (20, 21))
    of_host = measure(points((20, 21)), sources, targets)
    there = np.random.default_rng(0).random((5, len(sources))).argsort(axis=1) < 9
    ridges = [1e-3, 1e-3, 1e-1, 1e-2, 1e-3]
    moments = measure(device(points((20, 21))), sources, targets)
    together = moments.of_patterns((20, 21), ridges, there)
    for of, ridge, kernels in zip(there, ridges, together, strict=True):
        (alone,) = of_host.of_patterns((20, 21), [ridge], of[None])
        assert alone.weights.dtype == kernels.weights.dtype == np.complex64
        np.testing.assert_array_equal(kernels.sources, sources[of])
        np.testing.assert_allclose(to_numpy(kernels.weights), alone.weights, atol=1e-4)


def test_a_region_that_partial_fourier_cut_is_used_about_its_brightest_lines():
    brightest = 10  # k = 0 of 100 lines, of which the first 40 were not acquired
    full = points((100 - 40, 24))
    faint = np.full(60, 1e-3, np.float32)
    faint[brightest - 8 : brightest + 8] = 1
    faint[brightest] = 2
    calibration = full * faint[:, None, None]
    sources, targets = neighbours(Lattice((1, 2)), (100, 24))
    moments = measure(calibration, sources, targets)
    about = measure(calibration[:, :, :CENTRE], sources, targets)
    np.testing.assert_array_equal(moments.sums, about.sums)
