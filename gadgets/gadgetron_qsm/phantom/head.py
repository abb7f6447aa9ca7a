"""A procedural adult head, as labels at any voxel size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom import anatomy, tissue
from gadgetron_qsm.phantom.shapes import Field, smoothstep

Labels = NDArray[np.uint8]

HEAD_MM = (196.0, 216.0, 176.0)  # (z, y, x) field of view that holds head and air around it
CENTRE = (0.0, 14.0, -4.0)  # (x, y, z) of the head at the centre of the field of view
SKULL_MM, SCALP_MM, SUBARACHNOID_MM = 6.0, 5.0, 2.5
GYRUS_MM, SULCUS_DEPTH_MM, RIBBON_MM = 23.0, 13.0, 2.6
PLANES = 16  # painted at a time, which bounds the memory


@dataclass(frozen=True)
class _Waves:
    """Smooth noise: a sum of seeded plane waves; vectors (wave, xyz) in rad/mm."""

    vectors: NDArray[np.float32]
    phases: NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, length_mm: float) -> _Waves:
        vectors = rng.standard_normal((count, 3))
        vectors *= 2 * math.pi / length_mm / np.linalg.norm(vectors, axis=1, keepdims=True)
        phases = rng.uniform(0, 2 * math.pi, count)
        return cls(vectors.astype(np.float32), phases.astype(np.float32))

    def __call__(self, x: Field, y: Field, z: Field) -> Field:
        """Values with a standard deviation of 1."""
        waves = zip(self.vectors, self.phases, strict=True)
        total = sum(np.sin(v[0] * x + v[1] * y + v[2] * z + p) for v, p in waves)
        return total * np.float32(math.sqrt(2 / len(self.phases)))


@dataclass(frozen=True)
class _Person:
    """What the seed decides: the warp of the whole head, the gyri, the veins."""

    warp: tuple[_Waves, _Waves, _Waves]
    gyri: _Waves
    veins: list[anatomy.Painting]

    @classmethod
    def draw(cls, seed: int) -> _Person:
        rng = np.random.default_rng([seed, 0])
        x, y, z = (_Waves.draw(rng, 4, 110.0) for _ in range(3))
        return cls((x, y, z), _Waves.draw(rng, 7, GYRUS_MM), anatomy.veins(rng))


def head_labels(
    matrix: tuple[int, int, int], voxel_size: tuple[float, float, float], seed: int = 0
) -> Labels:
    """Draw a head: labels (z, y, x) as in `tissue`, in LPS order.

    `matrix` and `voxel_size` (mm) are (z, y, x); voxel n//2 is the centre of the field of view,
    a little below the middle of the brain. What lies outside is cut off.
    """
    person = _Person.draw(seed)
    z, y, x = (
        ((np.arange(n) - n // 2) * size + centre).astype(np.float32)
        for n, size, centre in zip(matrix, voxel_size, CENTRE[::-1], strict=True)
    )
    labels = np.empty(matrix, np.uint8)
    for first in range(0, matrix[0], PLANES):
        planes = slice(first, first + PLANES)
        labels[planes] = _paint_planes(z[planes], y, x, person)
    return labels


def _paint_planes(z: Field, y: Field, x: Field, person: _Person) -> Labels:
    grid = (x[None, None, :], y[None, :, None], z[:, None, None])
    warped = [a + 1.6 * wave(*grid) for a, wave in zip(grid, person.warp, strict=True)]
    points = (warped[0], warped[1], warped[2])
    labels = np.full(points[0].shape, tissue.AIR, np.uint8)
    cranium = _cranium(*points)
    labels[cranium < SKULL_MM + SCALP_MM] = tissue.SOFT
    _paint(labels, points, anatomy.face_and_neck())
    labels[cranium < SKULL_MM] = tissue.BONE
    labels[cranium < 0] = tissue.CSF
    _paint_cerebrum(labels, points, cranium, person.gyri)
    _paint_cerebellum(labels, points, cranium)
    _paint(labels, points, anatomy.brainstem(), within=cranium < -1)
    _paint(labels, points, anatomy.deep_structures())
    _paint(labels, points, person.veins, within=cranium < 0.5)
    _paint(labels, points, anatomy.skull_base())
    return labels


def _paint(
    labels: Labels,
    points: tuple[Field, Field, Field],
    paintings: Iterable[anatomy.Painting],
    within: NDArray[np.bool_] | None = None,
) -> None:
    x, y, z = points
    extremes = [(float(p.min()), float(p.max())) for p in (x, y, z)]
    for shape, label in paintings:
        low, high = shape.bounds()
        if any(
            a > most or b < least for a, b, (least, most) in zip(low, high, extremes, strict=True)
        ):
            continue
        box = _box(points, low, high)
        inside = shape.distance(x[box], y[box], z[box]) < 0
        if within is not None:
            inside &= within[box]
        labels[box][inside] = label


def _box(
    points: tuple[Field, Field, Field], low: Iterable[float], high: Iterable[float]
) -> tuple[slice, ...]:
    """Slices (z, y, x) of the voxels that can lie between two corners."""
    slices = []
    for axis, (point, least, most) in enumerate(zip(points, low, high, strict=True)):
        others = tuple(i for i in range(3) if i != 2 - axis)
        hit = (point.max(axis=others) >= least) & (point.min(axis=others) <= most)
        found = np.flatnonzero(hit)
        slices.append(slice(found[0], found[-1] + 1) if found.size else slice(0))
    return tuple(slices[::-1])


def _cranium(x: Field, y: Field, z: Field) -> Field:
    """Distance to the inner table of the skull: two ellipsoids on a stepped floor."""
    sella = 17 * np.exp(-((x / 15) ** 2))
    middle = -43 + sella
    floor = -21 + smoothstep(y, -30, -14) * (middle + 21)
    floor = floor + smoothstep(y, 6, 40) * (-69 - floor)
    vault = np.minimum(
        anatomy.CEREBRUM.distance(x, y, z), anatomy.POSTERIOR_FOSSA.distance(x, y, z)
    )
    return np.maximum(vault, floor - z)


def _paint_cerebrum(
    labels: Labels, points: tuple[Field, Field, Field], cranium: Field, gyri: _Waves
) -> None:
    x, y, z = points
    tentorium = -60 + 48 * smoothstep(y, 16, 42)
    surface = np.maximum(cranium + SUBARACHNOID_MM, tentorium - z)
    depth = -surface
    open_part = np.clip(1 - depth / SULCUS_DEPTH_MM, 0, 1)
    # a wave of this length rises by 2 pi / length per mm where it crosses zero
    to_sulcus = np.abs(gyri(x, y, z)) * (GYRUS_MM / (2 * math.pi))
    to_fissure = _to_fissures(x, y, z)
    sulcus = (to_sulcus < 0.9 * open_part) | (to_fissure < 1.0)
    ribbon = (depth < RIBBON_MM) | (to_fissure < 1.0 + RIBBON_MM)
    ribbon |= (to_sulcus < 0.9 + RIBBON_MM) & (depth < SULCUS_DEPTH_MM + RIBBON_MM)
    brain = depth > 0
    labels[brain] = np.where(sulcus, tissue.CSF, np.where(ribbon, tissue.GREY, tissue.WHITE))[brain]


def _to_fissures(x: Field, y: Field, z: Field) -> Field:
    """Distance to the fissure between the hemispheres and to the lateral ones."""
    between = np.maximum(np.abs(x), -anatomy.CALLOSUM.distance(x, y, z))
    lateral = np.abs(z + 4 - 0.35 * (y - 5)) * 0.94
    lateral = np.maximum(lateral, np.maximum(38 - np.abs(x), np.abs(y - 5) - 32))
    return np.minimum(between, lateral)


def _paint_cerebellum(labels: Labels, points: tuple[Field, Field, Field], cranium: Field) -> None:
    x, y, z = points
    distance = np.maximum(anatomy.CEREBELLUM.distance(x, y, z), cranium + SUBARACHNOID_MM)
    labels[(distance < 1.5) & (cranium < 0)] = tissue.CSF  # tentorium
    folia = np.sin((z + 0.5 * y) * np.float32(2 * math.pi / 7))
    cortex = (distance > -9) & ((folia < 0.75) | (distance > -3))
    inside = distance < 0
    labels[inside] = np.where(cortex, tissue.GREY, tissue.WHITE)[inside]
