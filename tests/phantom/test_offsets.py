from __future__ import annotations

import numpy as np

from gadgetron_qsm.phantom import offsets


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


def test_the_shim_leaves_tens_of_hertz_of_a_smooth_field_in_the_brain():
    rng = np.random.default_rng(3)
    field = offsets.Quadratic(rng.uniform(-500, 500, 10)).on((20, 22, 24))
    brain = np.zeros(field.shape, bool)
    brain[5:15, 6:18, 4:20] = True
    left = (field + offsets.shim(field, brain, rng).on(field.shape))[brain]
    assert 5 < np.abs(left).max() < 80
    assert np.abs(field[brain]).max() > 300
