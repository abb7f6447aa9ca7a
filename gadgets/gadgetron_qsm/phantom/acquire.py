"""From what is in the scanner to k-space: signal, coils, encoding, noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.coils import Coils
from gadgetron_qsm.phantom.offsets import Quadratic
from gadgetron_qsm.phantom.pattern import encoded_lines
from gadgetron_qsm.phantom.readout import full_samples, k_samples, readout_phase
from gadgetron_qsm.phantom.sampling import Grid, Volume, transform_and_crop, voxel_mean
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.slices import sum_slices

SLAB_EDGE = 0.05  # of the field of view at each end of the slab, over which the excitation fades
PLANES = 16  # fine planes at a time, which bounds the memory


@dataclass(frozen=True)
class Scene:
    """All that decides the signal, on the fine grid (z, y, x).

    frequency_hz is the offset from the imaging frequency, shim included.
    """

    grid: Grid
    labels: NDArray[np.uint8]
    tissues: Mapping[int, tissue.Tissue]
    frequency_hz: Volume
    transmit_phase: Quadratic
    coils: Coils


def amplitudes(scene: Scene, scan: Scan, echo_time_s: float) -> NDArray[np.float32]:
    """Magnitude of the signal of each label (256,) at an echo time."""
    density = tissue.lookup(scene.tissues, "proton_density")
    rate = tissue.lookup(scene.tissues, "r2star_hz")
    return density * np.exp(-echo_time_s * tissue.r2star_scale(scan.field_strength_t) * rate)


def slab_profile(planes: int) -> NDArray[np.float32]:
    """Excitation along z (planes,): 1, falling to 0 at both ends of the field of view."""
    to_edge = np.minimum(np.arange(planes) + 0.5, planes - np.arange(planes) - 0.5) / planes
    return np.sin(np.clip(to_edge / SLAB_EDGE, 0, 1) * (math.pi / 2)).astype(np.float32) ** 2


def echo_signal(scene: Scene, scan: Scan, echo: int) -> NDArray[np.complex64]:
    """Signal (z, y, x) of one echo on the fine grid; a positive offset turns the phase up."""
    echo_time_s = scan.echo_times_s[echo]
    amplitude = amplitudes(scene, scan, echo_time_s)
    count = len(scene.labels)
    profile = np.ones(count, np.float32) if scan.slices else slab_profile(count)
    offset = scene.transmit_phase.plus(readout_phase(scan, echo))
    signal = np.empty(scene.labels.shape, np.complex64)
    for first in range(0, len(signal), PLANES):
        planes = slice(first, first + PLANES)
        phase = offset.slab(scene.labels.shape, planes)
        phase += np.float32(2 * math.pi * echo_time_s) * scene.frequency_hz[planes]
        size = amplitude[scene.labels[planes]] * profile[planes, None, None]
        signal[planes].real = size * np.cos(phase)
        signal[planes].imag = size * np.sin(phase)
    return signal


def echo_kspace(
    scene: Scene, scan: Scan, echo: int, coil_done: Callable[[int], None]
) -> NDArray[np.complex64]:
    """Noise-free k-space (coil, z, y, sample) of one echo; z are places of slices where there are.

    The centre of the fine grid's spectrum: truncation artefacts, partial volumes and dephasing
    inside a voxel follow. Of all that is encoded, oversampling included, a centred inverse FFT
    with numpy's scaling gives the voxels' signal.
    """
    signal = echo_signal(scene, scan, echo)
    sensitivities = scene.coils.on(scene.grid.fine_matrix)
    grid = scene.grid
    nz, ny = encoded_lines(scan.sampling, grid.matrix)
    samples, width = k_samples(scan.readout, grid.matrix[2], echo), full_samples(signal.shape[2])
    kspace = np.empty((scan.coils, nz, ny, samples), np.complex64)
    planes_done = np.empty((len(signal), ny, samples), np.complex64)
    for coil in range(scan.coils):
        for first in range(0, len(signal), PLANES):
            planes = slice(first, first + PLANES)
            part = signal[planes] * sensitivities.slab(coil, planes)
            part = transform_and_crop(part, 1, ny, ny * grid.factor[1])
            planes_done[planes] = transform_and_crop(part, 2, samples, width)
        if scan.slices:
            kspace[coil] = sum_slices(planes_done, grid)
        else:
            kspace[coil] = transform_and_crop(planes_done, 0, nz, nz * grid.factor[0])
        coil_done(coil)
    kspace /= np.float32(math.prod(grid.factor))
    return kspace


def kspace_noise_covariance(
    scene: Scene, scan: Scan, shape: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Scale a covariance (channel, channel) to that of k-space samples with the scan's SNR.

    Optimal combination: Roemer et al. 1990, doi:10.1002/mrm.1910160203. Where the head has no
    white matter, all that signals takes its place.
    """
    if math.isinf(scan.snr):
        return np.zeros_like(shape)
    amplitude = amplitudes(scene, scan, scan.echo_times_s[0])
    visible = scene.labels == tissue.WHITE
    visible = (
        voxel_mean(visible if visible.any() else amplitude[scene.labels] > 0, scene.grid) > 0.9
    )
    signal = voxel_mean(amplitude[scene.labels], scene.grid)[visible]
    sensitivities = scene.coils.on(scene.grid.matrix)
    maps = [sensitivities.slab(coil, slice(None))[visible] for coil in range(scan.coils)]
    seeing = shape[np.ix_(scan.channels, scan.channels)]
    whitened = np.linalg.solve(np.linalg.cholesky(seeing), np.array(maps, np.complex128))
    # the noise of a magnitude is that of one component: half of the complex variance
    snr = np.mean(signal * np.linalg.norm(whitened, axis=0) * math.sqrt(2)) if signal.size else 0
    encoded = scene.grid.matrix[1:] if scan.slices else scene.grid.matrix
    samples = full_samples(math.prod(encoded))
    return shape * samples * (snr / scan.snr) ** 2


def noise(
    covariance: NDArray[np.complex128], shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Complex normal noise (coil, *shape) with E[n n^H] the covariance (coil, coil)."""
    coils = len(covariance)
    if not covariance.any():
        return np.zeros((coils, *shape), np.complex64)
    white = rng.standard_normal((coils, math.prod(shape), 2), np.float32).view(np.complex64)[..., 0]
    colour = np.linalg.cholesky(covariance / 2).astype(np.complex64)
    return (colour @ white).reshape(coils, *shape)
