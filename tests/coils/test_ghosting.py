"""The sign of motion: what rises with it, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.ghosting import ghosting
from tests.sphere_scan import MATRIX, NOISE, VOXEL_MM, kspace

CENTRE = [n // 2 for n in MATRIX[:2]]
STILL_PERCENT = 2.0  # of a sharp ball, by its ringing


def images(path_mm=0.0, noise=0.0, along="y"):
    """Coil images (coil, z, y, x) of the first echo, each line (kz, ky) with the head at `path_mm`.

    `noise` is added, in parts of the scan's own.
    """
    lines = kspace((1.0, 0.0, 0.0))[0][0]
    kz, ky = np.meshgrid(*map(np.arange, MATRIX[:2]), indexing="ij")
    n, size, k = {"z": (MATRIX[0], VOXEL_MM[0], kz), "y": (MATRIX[1], VOXEL_MM[1], ky)}[along]
    lines = lines * np.exp(-2j * np.pi * (k - n // 2) / (n * size) * path_mm)[..., None]
    rng = np.random.default_rng(1)
    lines = lines + noise * NOISE * (rng.standard_normal((*lines.shape, 2)) @ [1, 1j])
    axes = (1, 2, 3)
    made = np.fft.ifftn(np.fft.ifftshift(lines, axes=axes), axes=axes, norm="ortho")
    first = MATRIX[2] - MATRIX[2] // 2
    made = np.fft.fftshift(made, axes=axes)[..., first : first + MATRIX[2]]
    return made.astype(np.complex64)


def sway(amount_mm, lines_per_period=75):
    time = np.arange(MATRIX[0] * MATRIX[1]).reshape(MATRIX[:2])
    return amount_mm * np.sin(2 * np.pi * time / lines_per_period)


def test_a_head_that_lies_still_ghosts_little():
    assert 0 <= ghosting(images()) < STILL_PERCENT


@pytest.mark.parametrize("along", ["z", "y"])
def test_ghosts_grow_with_how_far_the_head_sways(along):
    found = [ghosting(images(sway(amount), along=along)) for amount in (0, 0.5, 1, 2, 4)]
    assert (np.diff(found) > 0).all()
    assert found[-1] > 5 * found[0]


@pytest.mark.parametrize("along", ["z", "y"])
def test_a_head_that_moves_once_ghosts(along):
    half_way = np.where(np.arange(MATRIX[0])[:, None] < CENTRE[0], 0.0, 6.0)
    assert ghosting(images(half_way, along=along)) > 1.5 * ghosting(images())


def test_noise_is_no_ghost():
    assert ghosting(images(noise=5)) < STILL_PERCENT
    swaying = sway(2.0)
    quiet, noisy = ghosting(images(swaying)), ghosting(images(swaying, noise=5))
    assert noisy == pytest.approx(quiet, rel=0.1)


def test_where_the_head_lies_and_how_bright_it_is_does_not_matter():
    still = ghosting(images())
    assert ghosting(images(np.full(MATRIX[:2], 4.0))) == pytest.approx(still, rel=0.1)
    assert ghosting(1000 * images()) == pytest.approx(still, rel=1e-4)


@pytest.mark.parametrize("fill", [0, 1])
def test_images_without_a_head_do_not_ghost(fill):
    assert ghosting(np.full((2, 8, 8, 8), fill, np.complex64)) == 0


def test_air_that_is_darker_beside_the_head_is_no_ghost():
    made = np.ones((1, 8, 8, 8), np.complex64)
    made[..., 4:] *= 0.5
    made[:, 4:, :, 4:] = 2
    assert ghosting(made) == 0


def test_it_agrees_on_a_device(device):
    made = images(sway(2.0))
    assert ghosting(device(made)) == pytest.approx(ghosting(made), rel=1e-4)
