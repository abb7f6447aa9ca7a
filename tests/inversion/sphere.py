"""A sphere in a spherical mask: what the inversions are asked to find."""

from __future__ import annotations

from tests.analytic import OBLIQUE, ball, distance, sphere_field

SHAPE, VOXEL, RADIUS, MASK_RADIUS = (40, 41, 42), (1.0, 1.0, 1.0), 6.0, 17
GRIDS = [(SHAPE, VOXEL), ((21, 40, 42), (2.0, 1.0, 1.0)), ((42, 34, 27), (1.0, 1.3, 1.6))]
MASK, R = ball(SHAPE, VOXEL, MASK_RADIUS), distance(SHAPE, VOXEL)


def sphere_in(shape, voxel_size, b0=OBLIQUE, chi=0.1):
    """Field of a sphere of `chi` in a spherical mask, and the mask."""
    mask = ball(shape, voxel_size, MASK_RADIUS)
    return chi * sphere_field(shape, voxel_size, RADIUS, b0) * mask, mask


def contrast(chi, r=R):
    """Susceptibility of the sphere relative to what is around."""
    return chi[r < 0.7 * RADIUS].mean() - chi[(r > 1.5 * RADIUS) & (r < 16)].mean()


def error(chi):
    """Root mean square error in the mask relative to the true contrast, without means."""
    return (chi - 0.1 * (R < RADIUS))[MASK].std() / 0.1


FIELD = sphere_in(SHAPE, VOXEL)[0]
