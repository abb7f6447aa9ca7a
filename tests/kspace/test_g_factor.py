from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre
from gadgetron_qsm.kspace.g_factor import g_factor
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.lattice import Lattice
from tests.raw_scan import random_complex

SHAPE, COILS = (48, 45), 6  # z, y


def sensitivities(samples=2):
    """Of coils around an object (coil, z, y, x) that fills the field of view but its corners."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (*SHAPE, samples)), indexing="ij")
    angles = 2 * np.pi * np.arange(COILS) / COILS
    seen = [
        (1 + a / 3) * np.exp(-((z - np.cos(a)) ** 2) - (y - np.sin(a)) ** 2 + 1j * (a + x))
        for a in angles  # not alike, for a map without symmetry
    ]
    return ((z**2 + y**2 < 0.9) * np.array(seen)).astype(np.complex64)


def kernels_of(lattice, seen, regularisation=3e-4):
    """Weights for the lattice, from the centre of a full scan at high signal."""
    full = centred_fft(seen[None] * 1000, axes=[2, 3])
    full += random_complex(*full.shape)
    lines, every = lattice.lines(SHAPE), np.ones(SHAPE, bool)
    hybrid = full * lines[:, :, None]
    calibration = full[:, :, 12:36, 10:35]
    options = {"calibration": calibration, "regularisation": regularisation}
    return grappa(hybrid, lines, every, lattice.cell, **options)[0], options


@pytest.mark.parametrize(
    "lattice", [Lattice((1, 2)), Lattice((2, 2), (0, 1), (1, 1)), Lattice((3, 1))], ids=str
)
def test_the_noise_of_many_scans_is_what_the_map_says(lattice):
    seen = sensitivities()
    kernels, options = kernels_of(lattice, seen)
    noise = random_complex(150, COILS, *SHAPE, seen.shape[-1]) / np.sqrt(2)
    lines = lattice.lines(SHAPE)
    noise *= lines[:, :, None]
    grappa(noise, lines, np.ones(SHAPE, bool), lattice.cell, **options)
    combined = (centred_ifft(noise, axes=[2, 3]) * seen.conj()).sum(axis=1)
    object_ = np.abs(seen).sum(axis=0) > 0
    full = np.linalg.norm(seen, axis=0)[object_]
    amplified = combined.std(axis=0)[object_] / full / np.sqrt(np.prod(lattice.cell))
    expected = g_factor(kernels, seen)[object_]
    assert expected.max() > 1.1 * expected.min()  # a map that is flat would prove little
    assert np.sqrt(np.mean(amplified**2) / np.mean(expected**2)) == pytest.approx(1, abs=0.05)
    assert np.std(amplified / expected) < 0.09  # 150 scans tell 6 %


def test_coils_that_see_what_is_folded_apart_do_not_amplify_noise():
    nz, ny = 12, 44
    seen = np.zeros((2, nz, ny, 2), np.complex64)
    seen[0, :, : ny // 2] = seen[1, :, ny // 2 :] = 1
    full = centred_fft(seen[None] * 1000, axes=[2, 3])
    lines = Lattice((1, 2)).lines((nz, ny))
    hybrid = full * lines[:, :, None]
    kernels = grappa(hybrid, lines, np.ones_like(lines), (1, 2), calibration=full)[0]
    np.testing.assert_allclose(g_factor(kernels, seen)[:, 6:16], 1, atol=0.15)


def test_nothing_is_amplified_without_acceleration():
    seen = sensitivities()
    lines = np.ones(SHAPE, bool)
    lines[3, 4] = False  # a line that was lost; weights are found for it
    full = centred_fft(seen[None], axes=[2, 3])
    kernels = grappa(full * lines[:, :, None], lines, np.ones(SHAPE, bool), (1, 1))[0]
    np.testing.assert_allclose(g_factor(kernels, seen), 1, atol=1e-6)


def test_the_map_is_1_where_no_coil_sees_anything():
    seen = sensitivities()
    kernels, _ = kernels_of(Lattice((2, 2)), seen)
    outside = np.abs(seen).sum(axis=0) == 0
    factor = g_factor(kernels, seen)
    assert outside.any()
    assert (factor[outside] == 1).all()
    assert factor.dtype == np.float32


@pytest.mark.parametrize("size", [(48, 30), (25, 45), (24, 29)])
def test_the_middle_of_the_map_comes_from_the_middle_of_the_sensitivities(size):
    seen = sensitivities()
    kernels, _ = kernels_of(Lattice((2, 2)), seen)
    whole = g_factor(kernels, seen)
    for axis, n in enumerate(size):
        seen, whole = crop_centre(seen, n, axis + 1), crop_centre(whole, n, axis)
    np.testing.assert_allclose(g_factor(kernels, seen), whole, rtol=1e-4)


def test_more_acceleration_amplifies_more():
    seen = sensitivities()
    maps = [g_factor(kernels_of(Lattice((1, r)), seen)[0], seen) for r in (2, 3)]
    assert maps[1].mean() > maps[0].mean() > 1
