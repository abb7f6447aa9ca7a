"""A round mask with a strong source outside and a weak one inside, on several grids."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import background
from tests.analytic import OBLIQUE, ball, coordinates, sphere_field

GRIDS = {
    "isotropic, odd": ((57, 57, 57), (1.0, 1.0, 1.0)),
    "thick slices, even": ((28, 56, 58), (2.0, 1.0, 1.0)),
    "two sides of 0.9 mm": ((39, 63, 61), (1.5, 0.9, 0.9)),
    "0.6 mm, whose multiples are not exact": ((61, 61, 61), (0.6, 0.6, 0.6)),
}
SMALL_GRIDS = {
    "isotropic, odd": ((41, 43, 45), (1.0, 1.0, 1.0)),
    "thick slices, even": ((22, 44, 42), (2.0, 1.0, 1.0)),
    "two sides of 0.9 mm": ((28, 47, 46), (1.5, 0.9, 0.9)),
}
grids = pytest.mark.parametrize(("shape", "voxel_size"), GRIDS.values(), ids=list(GRIDS))
small_grids = pytest.mark.parametrize(
    ("shape", "voxel_size"), SMALL_GRIDS.values(), ids=list(SMALL_GRIDS)
)
methods = pytest.mark.parametrize("name", background.METHODS)


def scene(shape, voxel_size):
    """Radius in mm of a spherical mask, the mask, the field in it of a strong source outside."""
    radius = 0.44 * np.multiply(shape, voxel_size).min()
    outer = np.multiply((0.9, -0.8, 0.8), radius)
    return (
        radius,
        ball(shape, voxel_size, radius),
        9 * sphere_field(shape, voxel_size, 0.4 * radius, OBLIQUE, outer),
    )


def saddle(shape, voxel_size):
    """A harmonic polynomial of third order, in ppm: its second differences add up to 0, too."""
    z, y, x = coordinates(shape, voxel_size) / 50
    return (z**2 - y**2 + x * y + z**3 - 3 * z * x**2 + 0.3 * x + 0.1).astype(np.float32)


def removed(name, field, mask, voxel_size, **parameters):
    """Local field and its mask by the method of that name, with B0 where it asks for it."""
    needs_b0 = name in ("pdf", "lbv_tv")
    given = {"b0_direction": OBLIQUE} if needs_b0 else {}
    return background.METHODS[name](field, mask, voxel_size, **given, **parameters)


def share(field, of):
    """Size of `field` relative to that of another, without means."""
    return field.std() / of.std()
