"""Smooth offsets of phase and field that a real scanner adds: transmit phase and shim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from gadgetron_qsm.phantom.sampling import Volume, normalised_axes
from gadgetron_qsm.phantom.scan import Triple

TRANSMIT_RAD = 0.8
SHIM_HZ = (25.0, 20.0, 10.0)  # constant, linear, square, at the edge of the field of view
MOST_FITTED = 200_000


@dataclass(frozen=True)
class Quadratic:
    """Polynomial of second order in normalised coordinates; coefficients as `_monomials` orders."""

    coefficients: NDArray[np.float64]

    def plus(self, other: Quadratic) -> Quadratic:
        """Sum of two."""
        return Quadratic(self.coefficients + other.coefficients)

    def on(self, matrix: tuple[int, int, int]) -> Volume:
        """Values (z, y, x) on a grid over the field of view."""
        return self.slab(matrix, slice(None))

    def slab(self, matrix: tuple[int, int, int], planes: slice) -> Volume:
        """Values on some of the planes."""
        z, y, x = normalised_axes(matrix)
        z, y = z[planes, None], y[None, :]
        c = self.coefficients.astype(np.float32)
        constant = c[0] + c[1] * z + c[2] * y + c[4] * z * z + c[5] * y * y + c[7] * z * y
        slope = c[3] + c[8] * z + c[9] * y
        return (constant[..., None] + slope[..., None] * x) + c[6] * x * x


def _monomials(z: NDArray, y: NDArray, x: NDArray) -> NDArray[np.float64]:
    return np.stack([np.ones_like(z), z, y, x, z * z, y * y, x * x, z * y, z * x, y * x], axis=-1)


def transmit_phase(rng: np.random.Generator) -> Quadratic:
    """Phase (rad) of the transmit field, which all coils and echoes share."""
    return Quadratic(rng.uniform(-TRANSMIT_RAD, TRANSMIT_RAD, 10))


def shim(
    field_hz: Volume, brain: NDArray[np.bool_], fov_mm: Triple, rng: np.random.Generator
) -> Quadratic:
    """Shim field (Hz): minus the second-order fit to the field in the brain, and a residual.

    Both are harmonic, as what coils outside the head make is; fov_mm (z, y, x). The residual has
    a few tens of Hz, centre-frequency offset included. An object without brain gets the residual
    alone.
    """
    spread = np.repeat(SHIM_HZ, [1, 3, 6])
    harmonic = _harmonics(fov_mm)
    residual = harmonic @ (harmonic.T @ rng.uniform(-spread, spread))
    where = np.flatnonzero(brain)
    where = where[:: max(1, len(where) // MOST_FITTED)]
    if len(where) == 0:
        return Quadratic(residual)
    index = np.unravel_index(where, brain.shape)
    axes = normalised_axes(brain.shape)
    z, y, x = (axis[i].astype(np.float64) for axis, i in zip(axes, index, strict=True))
    basis = _monomials(z, y, x) @ harmonic
    fit = np.linalg.lstsq(basis, field_hz.ravel()[where], rcond=None)[0]
    return Quadratic(residual - harmonic @ fit)


def _harmonics(fov_mm: Triple) -> NDArray[np.float64]:
    """Orthonormal coefficients (10, 9) of the polynomials whose Laplacian is 0."""
    laplacian = np.zeros((1, 10))
    laplacian[0, 4:7] = np.square(2 / np.array(fov_mm))  # squares are 1 at the edges
    return scipy.linalg.null_space(laplacian)
