"""A head in an array of loops, with a field that wraps: simulated coil images for the tests."""

from __future__ import annotations

import numpy as np

from tests.analytic import OBLIQUE, ball, coordinates, sphere_field

SHAPE, VOXEL = (35, 38, 37), (4.0, 4.0, 4.0)
HEAD, RADIUS_MM, ARRAY_MM = ball(SHAPE, VOXEL, 62), 62.0, 95.0
AIR = ball(SHAPE, VOXEL, 12, (-20, 25, 0))
OBJECT = HEAD & ~AIR
DECAY_S = 0.04
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def field_hz():
    """Field of a hollow of air, and of a poor shim: the phase wraps many times."""
    _, y, x = coordinates(SHAPE, VOXEL)
    air = sphere_field(SHAPE, VOXEL, 12, OBLIQUE, (-20, 25, 0))
    return 80 * air + 1.2 * x - 0.8 * y + 0.01 * x * y


def loops(count, seed=0):
    """Sensitivities (coil, z, y, x) of small loops on a sphere: B1x - i B1y, each of a phase."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.broadcast_arrays(*coordinates(SHAPE, VOXEL)))
    sensitivities = np.empty((count, *SHAPE), np.complex64)
    for coil in range(count):
        height = 0.8 - 1.6 * (coil + 0.5) / count
        angle = coil * GOLDEN_ANGLE
        ring = np.sqrt(1 - height**2)
        normal = np.array([height, ring * np.sin(angle), ring * np.cos(angle)])
        away = places - (ARRAY_MM * normal)[:, None, None, None]
        r = np.sqrt((away**2).sum(axis=0) + 20**2)
        along = np.tensordot(normal, away, 1)
        b = 3 * along * away / r**5 - normal[:, None, None, None] / r**3
        sensitivities[coil] = (b[2] - 1j * b[1]) * np.exp(1j * rng.uniform(-np.pi, np.pi))
    return sensitivities / np.sqrt((np.abs(sensitivities) ** 2).sum(axis=0)).max()


def coil_images(sensitivities, echo_times_s, noise=0.0, seed=1):
    """Images (echo, coil, z, y, x) with white noise of that standard deviation."""
    rng = np.random.default_rng(seed)
    field = field_hz()
    images = np.empty((len(echo_times_s), *sensitivities.shape), np.complex64)
    for image, te in zip(images, echo_times_s, strict=True):
        image[:] = sensitivities * (OBJECT * np.exp(2j * np.pi * field * te - te / DECAY_S))
    parts = rng.normal(scale=noise * np.sqrt(0.5), size=(2, *images.shape)).astype(np.float32)
    return images + parts[0] + 1j * parts[1]


def phase_error(combined, te):
    """Phase (z, y, x) in rad beyond 2 pi f TE."""
    return np.angle(combined * np.exp(-2j * np.pi * field_hz() * te))
