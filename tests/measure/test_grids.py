from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.grids import cropped, divided

OBLIQUE = (0.8, 0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, -1.0)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("matrix", [(6, 8, 10), (5, 7, 9)])
def test_a_finer_grid_cuts_the_voxels_where_they_are(matrix, parts):
    coarse = Geometry(matrix, (2.0, 1.5, 1.0), (11.0, -7.0, 3.0), *OBLIQUE)
    fine = divided(coarse, (parts,) * 3)
    assert fine.matrix == tuple(parts * n for n in matrix)
    first = np.array([[1, 2, 3, 1]]).T  # x, y, z
    within = np.indices((parts,) * 3).reshape(3, -1)
    of_first = np.vstack([parts * first[:3] + within, np.ones((1, within.shape[1]))])
    centre = (fine.affine @ of_first).mean(axis=1)
    assert centre == pytest.approx((coarse.affine @ first)[:, 0], abs=1e-9)


@pytest.mark.parametrize("first", [(0, 0, 0), (1, 2, 3)])
@pytest.mark.parametrize("matrix", [(3, 4, 5), (4, 3, 2)])
def test_a_box_lies_where_its_voxels_are(matrix, first):
    whole = Geometry((9, 10, 11), (2.0, 1.5, 1.0), (11.0, -7.0, 3.0), *OBLIQUE)
    box = tuple(slice(f, f + n) for f, n in zip(first, matrix, strict=True))
    part = cropped(whole, box)
    assert part.matrix == matrix
    at = np.array([1, 0, 1])  # x, y, z
    there = whole.affine @ [*(at + first[::-1]), 1]
    assert part.affine @ [*at, 1] == pytest.approx(there, abs=1e-9)
