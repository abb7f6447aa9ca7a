"""A head of ellipsoids, lopsided as none of its kind is, on any grid and however it lies."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from gadgetron_qsm.geometry import Geometry

# centre and half axes (x, y, z) in LPS mm, and what they add to the signal
PARTS = (
    ((0, 0, 0), (68, 85, 62), 1.0),
    ((8, -6, 10), (10, 28, 9), 0.6),
    ((-12, 4, 8), (9, 22, 12), 0.6),
    ((24, -8, 2), (8, 16, 9), -0.4),
    ((-26, -2, -4), (7, 15, 8), -0.4),
    ((5, 40, -35), (30, 20, 14), -0.3),
    ((-30, 35, 25), (14, 9, 11), 0.3),
)
EDGE_MM = 2.0


def points(geometry):
    """LPS coordinates (z, y, x, 3) of the voxels."""
    z, y, x = np.indices(geometry.matrix)
    affine = geometry.affine
    return np.stack([x, y, z], axis=-1) @ affine[:3, :3].T + affine[:3, 3]


def signal(geometry, motion=None, noise=0.0, seed=0):
    """The head's magnitude (z, y, x), moved by `motion` (4 x 4, of points before to after)."""
    at = points(geometry)
    if motion is not None:
        back = np.linalg.inv(motion)
        at = at @ back[:3, :3].T + back[:3, 3]
    total = sum(add * inside(at, centre, axes) for centre, axes, add in PARTS)
    if noise:
        rng = np.random.default_rng(seed)
        real, imaginary = noise * rng.standard_normal((2, *geometry.matrix))
        total = np.hypot(total + real, imaginary)
    return total.astype(np.float32)


def inside(at, centre, axes):
    """How much of a voxel at a point lies in an ellipsoid, 0 to 1."""
    away = np.linalg.norm((at - centre) / axes, axis=-1)
    return np.clip(0.5 - (away - 1) * min(axes) / EDGE_MM, 0, 1)


def motion(axis, degrees, shift):
    """A turn about an axis through the origin, then a shift (mm): 4 x 4."""
    matrix = np.eye(4)
    turn = np.deg2rad(degrees) * np.array(axis) / np.linalg.norm(axis)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def grid(voxel_mm, *, turn=(0, 0, 0), left_handed=False, position=(0, 0, 0), fov=(150, 200, 160)):
    """A grid whose axes are turned by Euler angles (xyz, degrees)."""
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    if left_handed:
        axes[:, 2] *= -1
    read, phase, through = (tuple(axis) for axis in axes.T.tolist())
    matrix = tuple(round(f / v) for f, v in zip(fov, voxel_mm, strict=True))
    return Geometry(matrix, voxel_mm, position, read, phase, through)
