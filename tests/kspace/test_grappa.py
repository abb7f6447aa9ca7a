from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.kspace.grappa import grappa

SHAPE = (20, 25, 16)  # kz, ky, kx


def coil_kspace(coils: int, echoes: int = 2) -> np.ndarray:
    """Blobs seen by coils around them, whose phase grows from echo to echo."""
    rng = np.random.default_rng(3)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = ((z**2 + y**2 + x**2) < 0.7) * (1 + 0.3 * np.cos(4 * y) * np.sin(5 * x + z))
    angles = 2 * np.pi * np.arange(coils) / coils
    seen = [
        np.exp(-2 * ((z - np.cos(a)) ** 2 + (y - np.sin(a)) ** 2) - 1j * (a + x + z * y))
        for a in angles
    ]
    images = np.array([[s * head * np.exp(1j * e * (y + z)) for s in seen] for e in range(echoes)])
    kspace = centred_fft(images.astype(np.complex64), axes=[2, 3, 4])
    noise = rng.standard_normal((*kspace.shape, 2)) * 1e-4 * np.abs(kspace).max()
    return (kspace + noise @ [1, 1j]).astype(np.complex64)


def lattice(acceleration: tuple[int, int], shift: int = 0, centre: int = 10) -> np.ndarray:
    nz, ny, _ = SHAPE
    sampled = np.zeros((nz, ny), bool)
    for row, kz in enumerate(range(0, nz, acceleration[0])):
        sampled[kz, (row * shift) % acceleration[1] :: acceleration[1]] = True
    half = centre // 2
    sampled[nz // 2 - half : nz // 2 + half, ny // 2 - half : ny // 2 + half] = True
    return sampled


def error_percent(filled: np.ndarray, full: np.ndarray) -> float:
    return float(100 * np.linalg.norm(filled - full) / np.linalg.norm(full))


@pytest.mark.parametrize(
    ("acceleration", "shift", "left"),  # of the error that zeros make; coils lie around z and y
    [((1, 2), 0, 0.1), ((1, 3), 0, 0.35), ((2, 1), 0, 0.2), ((2, 2), 1, 0.25)],
)
def test_lines_left_out_are_filled_in_for_every_lattice(acceleration, shift, left):
    full = coil_kspace(coils=6, echoes=1)
    sampled = lattice(acceleration, shift, centre=14)
    kspace = full * sampled[:, :, None]
    empty = error_percent(kspace, full)
    grappa(kspace, sampled, ~sampled, acceleration)
    assert error_percent(kspace, full) < left * empty


def test_what_was_sampled_stays_as_it_is():
    full = coil_kspace(coils=4)
    sampled = lattice((1, 2))
    kspace = full * sampled[:, :, None]
    grappa(kspace, sampled, ~sampled, (1, 2))
    np.testing.assert_array_equal(kspace[:, :, sampled], full[:, :, sampled])


def test_a_centre_that_is_too_small_is_refused_with_the_size_that_is_needed():
    kspace, sampled = coil_kspace(coils=4), lattice((1, 2), centre=4)
    with pytest.raises(ValueError, match="3 x 7 are needed"):
        grappa(kspace, sampled, ~sampled, (1, 2))


def test_lines_that_the_scan_does_not_have_stay_zero():
    full = coil_kspace(coils=4)
    sampled = lattice((1, 2))
    missing = ~sampled
    missing[:, 22:] = False
    kspace = full * sampled[:, :, None]
    grappa(kspace, sampled, missing, (1, 2))
    assert not kspace[:, :, :, 23].any()
    assert kspace[:, :, :, 21].all()
