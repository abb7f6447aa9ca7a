"""What lies in the simulated scanner: a head's k-space, and coils that are a few of its taps."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.phantom import acquire, coils, head, offsets, tissue
from gadgetron_qsm.phantom.field import head_field, total_field
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan

RIM = 1  # samples of kx on either side that taps reach
TAPS = [  # (z, y, x): as many functions of z and y at each x as real coils are worth
    (z, y, x)
    for x, z, y in itertools.product((-RIM, 0, RIM), range(-2, 3), range(-2, 3))
    if z * z + y * y <= (2 if x else 5)
]
RIDGE = 1e-4  # keeps the taps small
COARSE = (44, 56, 48)  # voxels of the same head, in which the taps are found


@dataclass(frozen=True)
class Bore:
    """A head between coils.

    kspace (echo, kz, ky, kx) complex64: of the head as a single even coil would see it, unitary,
    readout oversampling and a rim of kx that closes on itself included. Coil c sees at k the sum
    of weights[c, t] times the k-space at k - TAPS[t]; weights (coil, tap).
    covariance (coil, coil): of the noise of a sample. Truth: chi_ppm and brain (z, y, x).
    """

    kspace: np.ndarray
    weights: np.ndarray
    covariance: np.ndarray
    chi_ppm: np.ndarray
    brain: np.ndarray


def bore(scan: Scan, grid: Grid) -> Bore:
    """Put a head into the scanner, its voxels those of the scan."""
    scene = scene_of(scan, grid)
    sizes = [length / n for length, n in zip(grid.fov_mm, COARSE, strict=True)]
    coarse = head.head_labels(COARSE, (sizes[0], sizes[1], sizes[2]), scan.seed)
    weights = _coils(scene.coils, coarse != tissue.AIR)
    shape = coils.noise_covariance(scan.coils, np.random.default_rng([scan.seed, 2]))
    variance = _variance(scan, scene, sensitivities(weights, coarse == tissue.WHITE), shape)
    return Bore(_echoes(scan, scene), weights, shape * variance, *_truth(scene.labels))


def sensitivities(weights: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return what the coils see (coil, voxel) of each voxel of `where` (z, y, x)."""
    index = np.nonzero(where)
    places = [(i - n // 2) / n for i, n in zip(index, where.shape, strict=True)]
    places[2] /= READOUT_OVERSAMPLING
    waves = np.exp(2j * math.pi * (np.array(TAPS) @ np.array(places))).astype(np.complex64)
    return weights @ waves


def scene_of(scan: Scan, grid: Grid) -> acquire.Scene:
    """Return what decides the signal of each voxel."""
    drawn = head.head_labels(grid.matrix, grid.voxel_size, scan.seed)
    chi_ppm, brain = _truth(drawn)
    rng = np.random.default_rng([scan.seed, 1])
    air_ppm, place = tissue.TISSUES[tissue.AIR].chi_ppm, (grid.voxel_size, scan.b0_direction)
    own, others = np.where(brain, chi_ppm, 0), np.where(brain, 0, chi_ppm)
    frequency = total_field(own, *place) + head_field(others, air_ppm, *place, of_boxes=True)
    frequency *= np.float32(scan.larmor_hz * 1e-6)
    frequency += offsets.shim(frequency, brain, grid.fov_mm, rng).on(grid.matrix)
    phase, loops = offsets.transmit_phase(rng), coils.loop_coils(scan.coils, grid.fov_mm, rng)
    return acquire.Scene(grid, drawn, tissue.TISSUES, frequency, phase, loops)


def _truth(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Susceptibility (ppm) and brain (bool) of labels (z, y, x)."""
    return tissue.lookup(tissue.TISSUES, "chi_ppm")[drawn], np.isin(drawn, tissue.BRAIN)


def _coils(loops: coils.Coils, where: np.ndarray) -> np.ndarray:
    """Weights (coil, tap) that make the taps next to loops in the voxels of `where` (z, y, x)."""
    waves = sensitivities(np.eye(len(TAPS), dtype=np.complex64), where)
    maps = loops.on(where.shape)
    wanted = np.array([maps.slab(coil, slice(None))[where] for coil in range(len(loops.values))])
    normal = waves @ waves.conj().T / waves.shape[1] + RIDGE * np.eye(len(TAPS))
    weights = np.linalg.solve(normal.T, (wanted @ waves.conj().T / waves.shape[1]).T).T
    return weights.astype(np.complex64)


def _variance(scan: Scan, scene: acquire.Scene, seen: np.ndarray, shape: np.ndarray) -> float:
    """Variance of a sample's noise, of a covariance of that shape, for the SNR of white matter."""
    signal = acquire.amplitudes(scene, scan, scan.echo_times_s[0])[tissue.WHITE]
    whitened = np.linalg.solve(np.linalg.cholesky(shape), seen.astype(np.complex128))
    # the noise of a magnitude is that of one component: half of the complex variance
    return float(2 * (signal * np.linalg.norm(whitened, axis=0).mean() / scan.snr) ** 2)


def _echoes(scan: Scan, scene: acquire.Scene) -> np.ndarray:
    """k-space (echo, kz, ky, kx) of the head, with the rim of kx."""
    nz, ny, nx = scene.labels.shape
    samples = READOUT_OVERSAMPLING * nx
    kspace = np.empty((len(scan.echo_times_s), nz, ny, samples + 2 * RIM), np.complex64)
    for echo, of_echo in enumerate(kspace):
        wide = np.zeros((nz, ny, samples), np.complex64)
        wide[..., nx - nx // 2 : 2 * nx - nx // 2] = acquire.echo_signal(scene, scan, echo)
        for axis in range(3):  # one by one, as the ramps of all together are volumes
            centred_fft(wide, axes=[axis], overwrite=True)
        of_echo[..., RIM:-RIM] = wide
        of_echo[..., :RIM], of_echo[..., -RIM:] = wide[..., -RIM:], wide[..., :RIM]
    return kspace
