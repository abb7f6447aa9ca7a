from __future__ import annotations

import numpy as np

from gadgetron_qsm.phantom import offsets
from gadgetron_qsm.phantom.sampling import normalised_axes


def test_a_slab_is_part_of_the_whole():
    quadratic = offsets.Quadratic(np.arange(1.0, 11.0))
    whole = quadratic.on((7, 8, 9))
    np.testing.assert_allclose(quadratic.slab((7, 8, 9), slice(2, 5)), whole[2:5], rtol=1e-6)


def test_values_are_the_polynomial_of_the_position():
    values = offsets.Quadratic(np.arange(1.0, 11.0)).on((8, 8, 8))
    z, y, x = 0.5, -0.25, 0.75  # voxels 6, 3, 7; edges are at -1 and 1
    expected = 1 + 2 * z + 3 * y + 4 * x + 5 * z * z + 6 * y * y + 7 * x * x
    expected += 8 * z * y + 9 * z * x + 10 * y * x
    assert np.isclose(values[6, 3, 7], expected)


FOV_MM = (200.0, 220.0, 180.0)


def brain_in(shape):
    brain = np.zeros(shape, bool)
    brain[5:15, 6:18, 4:20] = True
    return brain


def test_the_shim_leaves_tens_of_hertz_of_a_smooth_harmonic_field_in_the_brain():
    rng = np.random.default_rng(3)
    z, y, x = (
        axis * side / 2 for axis, side in zip(normalised_axes((20, 22, 24)), FOV_MM, strict=True)
    )
    z, y = z[:, None, None], y[:, None]
    field = (300 + 4 * z + 0.05 * (z**2 - y**2) + 0.04 * (y**2 - x**2) + 0.06 * x * y).astype("f4")
    brain = brain_in(field.shape)
    left = (field + offsets.shim(field, brain, FOV_MM, rng).on(field.shape))[brain]
    assert 5 < np.abs(left).max() < 80
    assert np.abs(field[brain]).max() > 300


def test_the_shim_is_harmonic():
    field = np.random.default_rng(0).standard_normal((20, 22, 24), np.float32) * 100
    shim = offsets.shim(field, brain_in(field.shape), FOV_MM, np.random.default_rng(1))
    values = shim.on(field.shape).astype(float)
    bends = [
        np.diff(values, 2, axis)[tuple(slice(None, 18) for _ in range(3))] / (side / n) ** 2
        for axis, (side, n) in enumerate(zip(FOV_MM, field.shape, strict=True))
    ]
    assert min(abs(bend).mean() for bend in bends) > 1e-3
    assert abs(sum(bends)).max() < 1e-4
