"""A scan with larger voxels: what is found in it takes less time."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.measure.images import array_of, coarser, geometry_of, image_of
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan


def coarse_scan(scan: Scan, voxel_mm: float) -> Scan:
    """Return chi, magnitude and mask with voxels of at least `voxel_mm` along each axis."""
    chi, magnitude = (
        coarser(image_of(data.astype(np.float32, copy=False), scan.geometry), voxel_mm)
        for data in (scan.chi, scan.magnitude)
    )
    grid = geometry_of(chi)
    mask = resampled(scan.mask, scan.geometry, grid, nearest=True) > 0
    return Scan(np.where(mask, array_of(chi), 0), array_of(magnitude), mask, grid)
