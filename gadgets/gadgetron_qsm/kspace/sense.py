"""SENSE for any pattern of lines: missing ones from the coils' sensitivities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module

CHUNK_BYTES = 8 << 20  # of k-space that is solved for together,
DEVICE_BYTES = 256 << 20  # on a device
AXES = (1, 2)  # z and y of (coil, z, y, x)


class Convergence(NamedTuple):
    """Iterations that the slowest plane took, and the largest relative residual they left."""

    iterations: int
    residual: float


def sense(
    hybrid: Array,
    sampled: Array,
    sensitivities: Array,
    *,
    wanted: Array,
    iterations: int = 50,
    tolerance: float = 1e-3,
    regularisation: float = 5e-3,
) -> Convergence:
    """Fill the lines that are wanted and were not sampled, in place, by conjugate gradients.

    hybrid (echo, coil, kz, ky, x) complex64, noise white, lines that were not sampled 0; sampled
    (kz, ky) or (echo, kz, ky) and wanted (kz, ky) bool, on the host or with the data;
    sensitivities (coil, z, y, x) of unit norm over the coils, 0 where they are not known, where no
    signal is assumed. The image of each echo whose coil images explain the sampled lines best, in
    the sense of least squares with a Tikhonov term relative to the largest eigenvalue, gives the
    missing lines; those that were sampled stay. Each plane along x stops by itself when the
    gradient fell to `tolerance` of the first one.
    Raises ValueError when shapes do not fit together.
    Pruessmann et al. 2001, doi:10.1002/mrm.1241.
    """
    fft, xp = fft_module(hybrid), array_module(hybrid)
    sampled, wanted = xp.asarray(sampled), xp.asarray(wanted)
    sampled = _checked(hybrid, sampled, sensitivities, wanted)
    together = CHUNK_BYTES if xp is np else DEVICE_BYTES
    width = max(1, together // hybrid[0, ..., :1].nbytes)
    worst = Convergence(0, 0.0)
    for start in range(0, hybrid.shape[-1], width):
        planes = slice(start, start + width)
        maps = fft.ifftshift(sensitivities[..., planes], axes=AXES)
        for echo, came in zip(hybrid[..., planes], sampled, strict=True):
            data = fft.ifftshift(echo * came[..., None], axes=AXES)
            mask = fft.ifftshift(came)[..., None]
            image, reached = _solve(data, mask, maps, iterations, tolerance, regularisation)
            predicted = fft.fftshift(encode(image, maps), axes=AXES)
            echo[...] = xp.where((wanted & ~came)[..., None], predicted, echo)
            worst = Convergence(
                max(worst.iterations, reached.iterations), max(worst.residual, reached.residual)
            )
    return worst


def encode(image: Array, maps: Array) -> Array:
    """Image (z, y, x) to the lines (coil, kz, ky, x) that coils of sensitivities `maps` see.

    z, y, kz and ky all start at the sample that `centred_ifft` has at n//2.
    """
    return fft_module(image).fftn(maps * image, axes=AXES, norm="ortho", overwrite_x=True)


def encode_adjoint(lines: Array, maps: Array) -> Array:
    """Apply the adjoint of `encode`; overwrites `lines`."""
    images = fft_module(lines).ifftn(lines, axes=AXES, norm="ortho", overwrite_x=True)
    if array_module(lines) is np:
        return np.einsum("czyx,czyx->zyx", maps.conj(), images)
    images *= maps.conj()  # CuPy's einsum makes a product of matrices of every voxel
    return images.sum(axis=0)


def _checked(hybrid: Array, sampled: Array, sensitivities: Array, wanted: Array) -> Array:
    """Return `sampled` for each echo."""
    echoes, _, *lines, _ = hybrid.shape
    if sensitivities.shape != hybrid.shape[1:]:
        raise ValueError(
            f"sensitivities {sensitivities.shape} do not fit coils and planes {hybrid.shape[1:]}"
        )
    if sampled.ndim == 2:
        sampled = sampled[None].repeat(echoes, axis=0)
    if sampled.shape != (echoes, *lines) or wanted.shape != tuple(lines):
        raise ValueError(
            f"sampled {sampled.shape} or wanted {wanted.shape} lines do not fit the "
            f"{echoes} echoes of {lines[0]} x {lines[1]} lines"
        )
    return sampled


def _solve(
    data: Array,
    sampled: Array,
    maps: Array,
    iterations: int,
    tolerance: float,
    regularisation: float,
) -> tuple[Array, Convergence]:
    """Solve (E^H E + regularisation) image = E^H data, for each plane along x by itself."""
    xp = array_module(data)
    residual = encode_adjoint(data, maps)
    image = xp.zeros_like(residual)
    direction = residual.copy()
    energy = first = _dot(residual, residual)
    done = 0
    while done < iterations and bool((energy > tolerance**2 * first).any()):
        active = energy > tolerance**2 * first
        lines = encode(direction, maps)
        lines *= sampled
        normal = encode_adjoint(lines, maps) + regularisation * direction
        step = xp.where(active, energy / xp.where(active, _dot(direction, normal), 1), 0)
        image += step.astype(image.real.dtype) * direction
        residual -= step.astype(image.real.dtype) * normal
        before, energy = energy, _dot(residual, residual)
        growth = energy / xp.where(before > 0, before, 1)
        direction = residual + growth.astype(image.real.dtype) * direction
        done += 1
    left = xp.sqrt((energy / xp.where(first > 0, first, 1)).max())
    return image, Convergence(done, float(left))


def _dot(a: Array, b: Array) -> Array:
    """Real part of the inner product of each plane along x, (x,) float64."""
    return (a.real * b.real + a.imag * b.imag).sum(axis=(0, 1), dtype="float64")
