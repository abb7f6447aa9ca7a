"""Coil sensitivities from the fully sampled centre of k-space."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.sampling import central

REACH = 1  # planes to either side along x that share one subspace: few, as maps change along x
ROWS_A_COLUMN = 4  # of the Gram matrix that tells the noise,
COLUMNS = 256  # and columns of it at most
KNOTS = 32  # along each axis, between which maps are interpolated
TINY = float(np.finfo(np.float32).tiny)  # where there is no signal

Kernel = tuple[int, int]
Knots = NDArray[np.intp]


def espirit(
    calibration: Array,
    shape: tuple[int, int],
    *,
    noise: float = 0.0,
    kernel: int = 5,
    threshold: float = 0.003,
    crop: float = 0.9,
) -> Array:
    """Estimate coil sensitivities with ESPIRiT, one map a coil.

    calibration (coil, kz, ky, x) complex64: the fully sampled centre, of which the `central` lines
    are used; shape (z, y) of the whole matrix; noise: standard deviation of a complex sample, 1 for
    whitened receivers; 0: unknown, what the windows' weakest direction has where it has least.
    Steps, plane by plane along x: the subspace that windows of `kernel` x `kernel` lines of all
    coils lie in, down to the singular values that noise makes, or `threshold` of what the strongest
    plane could make; at each place the vector (coil,) that projection on it keeps best, which is
    the eigenvalue; the phase of the coils' strongest combination taken off. All this on a coarser
    grid, which the few lines of the kernel allow, then interpolated.
    Returns (coil, z, y, x) complex64 of unit norm over the coils and smooth phase, 0 where the
    eigenvalue is below `crop`: where there is no signal.
    Raises ValueError when the calibration is smaller than the kernel or larger than the matrix.
    Uecker et al. 2014, doi:10.1002/mrm.24751.
    """
    size = _kernel(calibration, shape, kernel)
    calibration = central(calibration)
    full = (*shape, calibration.shape[3])
    knots = [_knots(n) for n in full]
    floor = _floor(calibration, size, noise or _weakest(calibration, size), threshold)
    maps, eigenvalues = _on_knots(calibration, shape, knots, size, floor)
    for axis, n in enumerate(full):
        maps = _interpolate(maps, knots[axis], n, axis + 1)
        eigenvalues = _interpolate(eigenvalues, knots[axis], n, axis)
    xp = array_module(maps)
    power = xp.zeros(full, xp.float32)
    for of_coil in maps:
        power += of_coil.real**2 + of_coil.imag**2
    maps *= (eigenvalues > crop) / xp.sqrt(xp.maximum(power, TINY))
    return maps


def _kernel(calibration: Array, shape: tuple[int, int], kernel: int) -> Kernel:
    """Return the kernel's lines along kz and ky, no more than the matrix has."""
    for axis, lines, n in zip(("kz", "ky"), calibration.shape[1:3], shape, strict=True):
        if not min(kernel, n) <= lines <= n:
            raise ValueError(
                f"{lines} calibration lines along {axis} fit no kernel of {min(kernel, n)} lines "
                f"in a matrix of {n}"
            )
    return min(kernel, shape[0]), min(kernel, shape[1])


def _knots(n: int) -> Knots:
    return np.unique(np.round(np.linspace(0, n - 1, min(n, KNOTS))).astype(int))


def _floor(calibration: Array, size: Kernel, noise: float, threshold: float) -> float:
    """Eigenvalue of a Gram matrix up to which a direction counts as noise.

    With noise known it is the largest that noise alone makes.
    Marchenko and Pastur 1967, doi:10.1070/SM1967v001n04ABEH001994.
    """
    coils, nz, ny, _ = calibration.shape
    planes = 2 * REACH + 1
    columns = coils * size[0] * size[1]
    rows = (nz - size[0] + 1) * (ny - size[1] + 1) * planes
    edge = noise * (rows**0.5 + columns**0.5)
    power = (calibration.real**2 + calibration.imag**2).sum(axis=(0, 1, 2), dtype="float64").max()
    strongest = float(power) * planes * size[0] * size[1]
    return max(edge**2, threshold**2 * strongest, TINY)


def _weakest(calibration: Array, size: Kernel) -> float:
    """Noise that explains the smallest eigenvalue of a Gram matrix at any x.

    Planes go together until they have the rows that tell it; coils that receive nothing at an x,
    as when they are not connected, do not count there.
    """
    xp = array_module(calibration)
    coils, *lines, samples = calibration.shape
    side = max(1, math.isqrt(COLUMNS // coils))
    window = min(side, size[0]), min(side, size[1])
    rows = (lines[0] - window[0] + 1) * (lines[1] - window[1] + 1)
    slabs = rows * samples // (ROWS_A_COLUMN * coils * math.prod(window))
    found = []
    for slab in xp.array_split(calibration, min(max(slabs, 1), samples, KNOTS), axis=-1):
        alive = slab[slab.any(axis=(1, 2, 3))]
        columns, seen = len(alive) * math.prod(window), rows * slab.shape[-1]
        if 0 < columns < seen:
            values = xp.linalg.eigvalsh(_gram(alive, window).reshape(columns, -1))
            found.append(max(float(values[0]), 0.0) ** 0.5 / (seen**0.5 - columns**0.5))
    return min(found, default=0.0)


def _on_knots(
    calibration: Array, shape: tuple[int, int], knots: list[Knots], size: Kernel, floor: float
) -> tuple[Array, Array]:
    """Return maps (coil, z, y, x) and eigenvalues (z, y, x) at the knots."""
    xp = array_module(calibration)
    waves = [xp.asarray(_waves(*of_axis)) for of_axis in zip(shape, knots, size, strict=False)]
    maps = xp.empty((len(calibration), *map(len, knots)), xp.complex64)
    eigenvalues = xp.empty(maps.shape[1:], xp.float32)
    virtual = _strongest_combination(calibration)
    for knot, x in enumerate(knots[2]):
        gram = _gram(calibration[..., max(x - REACH, 0) : x + REACH + 1], size)
        values, vectors = xp.linalg.eigh(_evaluate(_projection(gram, floor), *waves))
        eigenvalues[..., knot] = values[..., -1]
        vectors = vectors[..., -1]
        vectors *= _turn((vectors @ virtual.conj()).conj())[..., None]
        maps[..., knot] = xp.moveaxis(vectors, -1, 0)
    return maps, eigenvalues


def _waves(n: int, at: Knots, lines: int) -> NDArray[np.complex64]:
    """Fourier matrix (knot, lag) of the lags between lines of a kernel."""
    lags = np.arange(1 - lines, lines)
    return np.exp(-2j * np.pi * np.outer(at - n // 2, lags) / n).astype(np.complex64)


def _gram(slab: Array, size: Kernel) -> Array:
    """Sum of the outer products of all windows, (coil, dz, dy, coil, dz, dy)."""
    nz, ny = (n - lines + 1 for n, lines in zip(slab.shape[1:3], size, strict=True))
    views = [slab[:, z : z + nz, y : y + ny].reshape(len(slab), -1) for z, y in np.ndindex(*size)]
    columns = array_module(slab).stack(views, axis=1).reshape(len(slab) * len(views), -1)
    return (columns @ columns.conj().T).reshape(2 * (len(slab), *size))


def _projection(gram: Array, floor: float) -> Array:
    """Kernels (coil, coil, lag z, lag y) that project on the windows' subspace, lines averaged."""
    xp = array_module(gram)
    coils, dz, dy = gram.shape[:3]
    values, vectors = xp.linalg.eigh(gram.reshape(coils * dz * dy, -1))
    vectors = vectors[:, values > floor]
    projector = (vectors @ vectors.conj().T).reshape(gram.shape)
    kernels = xp.zeros((coils, coils, 2 * dz - 1, 2 * dy - 1), gram.dtype)
    for z, y in np.ndindex(dz, dy):
        lags = slice(dz - 1 - z, 2 * dz - 1 - z), slice(dy - 1 - y, 2 * dy - 1 - y)
        kernels[(..., *lags)] += projector[:, z, y]
    return kernels / (dz * dy)


def _evaluate(kernels: Array, along_z: Array, along_y: Array) -> Array:
    """Transform kernels to matrices (z, y, coil, coil)."""
    xp = array_module(kernels)
    rows = xp.tensordot(along_z, kernels, (1, 2))  # z, coil, coil, lag y
    return xp.ascontiguousarray(xp.moveaxis(rows @ along_y.T, -1, 1))


def _strongest_combination(calibration: Array) -> Array:
    """Combination (coil,) of the coils that has the most energy."""
    samples = calibration.reshape(len(calibration), -1)
    return array_module(samples).linalg.eigh(samples @ samples.conj().T)[1][:, -1]


def _turn(value: Array) -> Array:
    """Return the phase factor of a value, 1 where it is 0."""
    xp = array_module(value)
    return xp.exp(1j * xp.angle(value)).astype(value.dtype)


def _interpolate(values: Array, knots: Knots, n: int, axis: int) -> Array:
    """Interpolate linearly from the knots to all of `n` places."""
    xp = array_module(values)
    hats = np.array([np.interp(np.arange(n), knots, peak) for peak in np.eye(len(knots))])
    weights = xp.asarray(hats.astype(np.float32))
    return xp.moveaxis(xp.tensordot(values, weights, (axis, 0)), -1, axis)
