"""Total variation: the piecewise smooth susceptibility that explains the local field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.grid import dipole_kernel, good_size, pad_centre, spread, unpad_centre


def tv(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    regularisation: float = 1e-4,
    iterations: int = 40,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field under total variation, by ADMM.

    Minimises 1/2 |W (D chi - field)|^2 + regularisation * |grad chi|_1, with W the `weight`
    (z, y, x), relative precision of the field (1 where best; default the mask), 0 outside.
    local_field (z, y, x) in ppm, 0 outside mask (z, y, x) bool; voxel_size (z, y, x) in mm;
    b0_direction unit vector (z, y, x). `regularisation` in ppm; gradients are per mm times the
    geometric mean of the voxel sides. Zeros, `padding_mm` an axis, keep the dipole from wrapping.
    Two transform pairs an iteration.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty.
    Bilgic et al. 2014, doi:10.1002/mrm.25029; Milovic et al. 2018, doi:10.1002/mrm.27073.
    """
    xp, fft = array_module(local_field), fft_module(local_field)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    shape = [
        good_size(n + int(np.ceil(padding_mm / size)))
        for n, size in zip(local_field.shape, voxel_size, strict=True)
    ]
    precision = xp.where(mask, 1 if weight is None else weight, 0).astype(xp.float32)
    fidelity = pad_centre(precision**2, shape)
    data = fidelity * pad_centre(xp.where(mask, local_field, 0).astype(xp.float32), shape)
    kernel = dipole_kernel(shape, voxel_size, b0_direction, like=local_field)
    steps = [float(np.prod(voxel_size) ** (1 / 3) / size) for size in voxel_size]
    smooth, fit = np.float32(100 * regularisation), np.float32(1.0)  # ADMM penalties
    normal = 1 / _nonzero(smooth * _laplace_spectrum(shape, steps, kernel) + fit * kernel**2)
    edges = [xp.zeros(shape, xp.float32) for _ in range(3)]  # split gradient minus its dual
    duals = [xp.zeros(shape, xp.float32) for _ in range(3)]
    field = data / (fidelity + fit)  # split D chi
    field_dual = xp.zeros(shape, xp.float32)
    limit = np.float32(regularisation) / smooth
    chi = xp.zeros(shape, xp.float32)
    for _ in range(iterations):
        sources = smooth * fft.rfftn(_divergence(edges, steps))
        sources += fit * kernel * fft.rfftn(field - field_dual)
        spectrum = normal * sources
        chi = fft.irfftn(spectrum, s=shape)
        for axis in range(3):
            gradient = _forward(chi, axis, steps[axis]) + duals[axis]
            kept = gradient - xp.clip(gradient, -limit, limit)  # soft threshold
            duals[axis] = gradient - kept
            edges[axis] = kept - duals[axis]
        predicted = fft.irfftn(kernel * spectrum, s=shape) + field_dual
        field = (data + fit * predicted) / (fidelity + fit)
        field_dual = predicted - field
    return xp.where(mask, unpad_centre(chi, local_field.shape), 0).astype(xp.float32)


def _forward(x: Array, axis: int, step: float) -> Array:
    return (array_module(x).roll(x, -1, axis) - x) * step


def _divergence(edges: Sequence[Array], steps: Sequence[float]) -> Array:
    """Adjoint of the three forward differences."""
    roll = array_module(edges[0]).roll
    return sum((roll(e, 1, a) - e) * s for a, (e, s) in enumerate(zip(edges, steps, strict=True)))


def _laplace_spectrum(shape: Sequence[int], steps: Sequence[float], like: Array) -> Array:
    xp = array_module(like)
    total = xp.zeros((1, 1, 1), xp.float32)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        frequency = np.fft.rfftfreq(n) if axis == 2 else np.fft.fftfreq(n)
        total = total + spread(step**2 * (2 - 2 * np.cos(2 * np.pi * frequency)), axis, like)
    return total


def _nonzero(x: Array) -> Array:
    return array_module(x).where(x == 0, 1, x)
