"""How far maps may lie apart that were computed by other arithmetic: docs/reproducibility.md."""

from __future__ import annotations

import numpy as np

ALL_BUT = 1e-3  # part of the mask's voxels that may be further off: a rounding flips a decision
NEAR = 1e-3  # of the map's standard deviation over the mask, in all others


def assert_alike(found, expected, mask, name=""):
    """Compare maps (z, y, x) of the same data, as of CPU and GPU, over a mask (z, y, x) bool."""
    assert np.isfinite(found).all(), name
    away = np.abs(found[mask].astype(float) - expected[mask])
    spread = max(float(expected[mask].std()), np.finfo(np.float32).tiny)
    worst = np.quantile(away, 1 - ALL_BUT)
    assert worst <= NEAR * spread, f"{name}: {worst:.2g} apart, {worst / spread:.2g} of its spread"
