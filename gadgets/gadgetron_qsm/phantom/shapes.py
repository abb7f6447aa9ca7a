"""Solids with an approximate signed distance in mm, negative inside. Points are (x, y, z), mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Field = NDArray[np.float32]


class Shape(Protocol):
    """What the painter needs of a solid."""

    def distance(self, x: Any, y: Any, z: Any) -> Field:
        """Signed distance (mm) at coordinates that broadcast together."""

    def bounds(self) -> tuple[Point, Point]:
        """Lowest and highest corner of a box around it."""

    def mirrored(self) -> Shape:
        """The same solid on the other side of the plane x = 0."""


def smoothstep(value: Any, start: float, end: float) -> Any:
    """Rise from 0 at `start` to 1 at `end` with zero slope at both."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Ellipsoid:
    """Semi-axes along x, y, z, turned about z, then y, then x by angles in degrees."""

    centre: Point
    semi_axes: Point
    turn_deg: Point = (0.0, 0.0, 0.0)  # about x, y, z

    def distance(self, x: Any, y: Any, z: Any) -> Field:
        """Signed distance, first order: exact on the surface and for spheres."""
        offset = [np.subtract(a, c) for a, c in zip((x, y, z), self.centre, strict=True)]
        if any(self.turn_deg):
            axes = rotation(*self.turn_deg).T.astype(np.float32)
            offset = [sum(a * o for a, o in zip(axis, offset, strict=True)) for axis in axes]
        inner = sum((o / s) ** 2 for o, s in zip(offset, self.semi_axes, strict=True))
        slope = sum((o / s**2) ** 2 for o, s in zip(offset, self.semi_axes, strict=True))
        radius = np.sqrt(inner)
        return radius * (radius - 1) / np.sqrt(np.maximum(slope, np.float32(1e-12)))

    def bounds(self) -> tuple[Point, Point]:
        """Box of the semi-axes; of the longest one on all sides when turned."""
        reach = (max(self.semi_axes),) * 3 if any(self.turn_deg) else self.semi_axes
        low, high = np.subtract(self.centre, reach), np.add(self.centre, reach)
        return tuple(low.tolist()), tuple(high.tolist())

    def mirrored(self) -> Ellipsoid:
        """The same ellipsoid on the other side of x = 0."""
        about_x, about_y, about_z = self.turn_deg
        return replace(self, centre=_flip(self.centre), turn_deg=(about_x, -about_y, -about_z))


@dataclass(frozen=True)
class Tube:
    """A line of points with a radius (mm) at each, rounded at the ends."""

    points: Sequence[Point]
    radii: Sequence[float]

    def distance(self, x: Any, y: Any, z: Any) -> Field:
        """Distance to the nearest segment, less the radius there."""
        ends = zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False)
        nearest: Any = np.float32(np.inf)
        for a, b, radius, next_radius in ends:
            d = np.subtract(b, a)
            from_a = [np.subtract(v, c) for v, c in zip((x, y, z), a, strict=True)]
            t = sum(float(s) * o for s, o in zip(d, from_a, strict=True)) / float(d @ d)
            t = np.clip(t, 0, 1)
            away = sum((o - t * float(s)) ** 2 for s, o in zip(d, from_a, strict=True))
            nearest = np.minimum(nearest, np.sqrt(away) - (radius + t * (next_radius - radius)))
        return nearest

    def bounds(self) -> tuple[Point, Point]:
        """Box of all points, wider by the largest radius."""
        reach = max(self.radii)
        low, high = np.min(self.points, axis=0) - reach, np.max(self.points, axis=0) + reach
        return tuple(low.tolist()), tuple(high.tolist())

    def mirrored(self) -> Tube:
        """The same tube on the other side of x = 0."""
        return replace(self, points=[_flip(point) for point in self.points])


def _flip(point: Point) -> Point:
    return (-point[0], point[1], point[2])


def rotation(about_x: float, about_y: float, about_z: float) -> NDArray[np.float64]:
    """Matrix that turns (x, y, z) about z, then y, then x; angles in degrees, right-handed."""
    (cx, cy, cz), (sx, sy, sz) = (
        f(np.radians((about_x, about_y, about_z))) for f in (np.cos, np.sin)
    )
    turn_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return turn_x @ turn_y @ turn_z
