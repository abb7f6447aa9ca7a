"""Receive coils: sensitivities of loops around the head, and the noise they share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from gadgetron_qsm.phantom.sampling import Volume, normalised_axes
from gadgetron_qsm.phantom.scan import Triple

SHELL = 0.66  # semi-axes of the ellipsoid that carries the loops, in fields of view
WIRE = 0.15  # blur of the wires, in mean fields of view: fields stay smooth up to the edge
SEGMENTS = 24  # of a loop
KNOTS = 14  # along each axis, between which sensitivities are interpolated
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Coils:
    """Sensitivities on knots (coil, z, y, x) that span the field of view, dimensionless."""

    values: NDArray[np.complex64]

    def on(self, matrix: tuple[int, int, int]) -> Sensitivities:
        """Prepare interpolation to a grid (z, y, x) over the same field of view."""
        along_z, along_y, along_x = (_spline(axis) for axis in normalised_axes(matrix))
        planes = self.values @ along_x.T
        planes = np.einsum("yk,ckx->cyx", along_y, _rows(planes), optimize=True)
        shape = (len(self.values), KNOTS, *matrix[1:])
        return Sensitivities(along_z.astype(np.complex64), planes.reshape(shape))


@dataclass(frozen=True)
class Sensitivities:
    """Smooth maps interpolated on demand: weights (z, knot), planes (coil, knot, y, x)."""

    weights: NDArray[np.complex64]
    planes: NDArray[np.complex64]

    def slab(self, coil: int, planes: slice) -> NDArray[np.complex64]:
        """Sensitivity (z, y, x) of one coil on some of the planes."""
        return np.tensordot(self.weights[planes], self.planes[coil], 1)


def _rows(values: NDArray[np.complex64]) -> NDArray[np.complex64]:
    return values.reshape(-1, *values.shape[2:])


def _spline(at: Volume) -> NDArray[np.float32]:
    """Weights (point, knot) of cubic interpolation."""
    knots = np.linspace(-1, 1, KNOTS)
    return make_interp_spline(knots, np.eye(KNOTS))(at).astype(np.float32)


def loop_coils(count: int, fov_mm: Triple, rng: np.random.Generator) -> Coils:
    """Sensitivities of `count` loops on an ellipsoid around the field of view (z, y, x in mm).

    Each is B1x - i B1y of its loop (Biot-Savart) with a phase of its own; the root sum of squares
    is 1 at the centre. Roemer et al. 1990, doi:10.1002/mrm.1910160203.
    """
    fov = np.array(fov_mm[::-1])
    axis = np.linspace(-0.5, 0.5, KNOTS)
    z, y, x = np.meshgrid(*(axis * size for size in fov_mm), indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    radius = SHELL * fov.mean() * min(0.9, 1.6 / math.sqrt(count))
    values = np.empty((count, KNOTS, KNOTS, KNOTS), np.complex64)
    for coil, normal in enumerate(_normals(count)):
        field = _loop_field(points, normal * SHELL * fov, normal, radius, WIRE * fov.mean())
        phase = np.exp(1j * rng.uniform(-math.pi, math.pi))
        values[coil] = (field[..., 0] - 1j * field[..., 1]) * phase
    middle = [values[:, (KNOTS - 1) // 2], values[:, KNOTS // 2]]
    centre = np.mean(middle, axis=0)[:, KNOTS // 2, KNOTS // 2]
    return Coils(values / np.linalg.norm(centre).astype(np.float32))


def _normals(count: int) -> NDArray[np.float64]:
    """Directions (coil, xyz) spread over a sphere but for its lower cap, where the neck is."""
    index = np.arange(count)
    z = -0.45 + 1.25 * (index + 0.5) / count
    ring = np.sqrt(1 - z**2)
    return np.stack(
        [ring * np.cos(index * GOLDEN_ANGLE), ring * np.sin(index * GOLDEN_ANGLE), z], 1
    )


def _loop_field(
    points: NDArray[np.float64],
    centre: NDArray[np.float64],
    normal: NDArray[np.float64],
    radius: float,
    wire: float,
) -> NDArray[np.float64]:
    """Field (..., xyz) of a circular current, in arbitrary units."""
    first = np.cross(normal, (0, 0, 1))
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    angles = np.arange(SEGMENTS) * (2 * math.pi / SEGMENTS)
    field = np.zeros_like(points)
    for angle in angles:
        place = centre + radius * (math.cos(angle) * first + math.sin(angle) * second)
        current = math.cos(angle) * second - math.sin(angle) * first
        away = points - place
        distance = np.sqrt((away**2).sum(-1, keepdims=True) + wire**2)
        field += np.cross(current, away) / distance**3
    return field


def noise_covariance(count: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Covariance (coil, coil) of correlated noise of unequal gains; its mean variance is 1."""
    shape = (count, count)
    mixing = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    mixing = np.eye(count) + 0.35 / math.sqrt(count) * mixing
    mixing *= rng.uniform(0.8, 1.25, (count, 1))
    covariance = mixing @ mixing.conj().T
    return covariance * count / np.trace(covariance).real
