"""Where each voxel of a volume lies, to compare what was written with what is read."""

from __future__ import annotations

import itertools

import numpy as np

TOLERANCE_MM = 0.01


def places(values, affine):
    """Patient coordinates of each value; `values` (z, y, x), `affine` from (x, y, z)."""
    return {
        round(float(values[z, y, x])): (affine @ [x, y, z, 1])[:3]
        for z, y, x in itertools.product(*map(range, values.shape))
    }


def assert_same_places(found, expected):
    assert found.keys() == expected.keys()
    distance = max(np.linalg.norm(found[value] - expected[value]) for value in expected)
    assert distance < TOLERANCE_MM
