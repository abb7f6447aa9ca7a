"""RESHARP: the smallest local field that explains what spheres see of the total field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.edge import with_edge
from gadgetron_qsm.background.sphere import ROUNDING, fits, less_mean
from gadgetron_qsm.conjugate_gradients import conjugate_gradients
from gadgetron_qsm.distance import depth
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import filtered


def resharp(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    radius_mm: float = 8.0,
    regularisation: float = 1e-4,
    iterations: int = 40,
    tolerance: float = 1e-3,
    keep_edge: bool = True,
) -> tuple[Array, Array]:
    """Remove the background field with RESHARP.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm.
    Minimises |M C (local - field)|^2 + regularisation * |local|^2 by conjugate gradients until the
    residual falls to `tolerance`, at most `iterations`; C takes the mean over a sphere of
    `radius_mm` off each voxel, which leaves nothing of a background field, and M holds the voxels
    whose sphere fits the mask. Two transform pairs an iteration.
    Returns the local field (ppm, 0 outside) and the mask it holds in: M, or with `keep_edge` the
    mask less three layers of voxels (see `edge.with_edge`).
    Raises ValueError when the mask is empty or the sphere does not fit it.
    Sun and Wilman 2014, doi:10.1002/mrm.24765.
    """
    xp = array_module(field)
    domain = Domain.around(mask, voxel_size, padding_mm=2 * (radius_mm + max(voxel_size)))
    deep = depth(domain.embed(mask) > 0, voxel_size, radius_mm * ROUNDING)
    inside = fits(deep, radius_mm)
    if not bool(inside.any()):
        raise ValueError(f"no sphere of {radius_mm:.2g} mm fits the mask")
    kernel = less_mean(domain.shape, radius_mm, voxel_size, like=field)

    total = domain.embed(field)
    seen = xp.where(inside, filtered(total, kernel), 0)
    local = conjugate_gradients(
        lambda x: (
            filtered(xp.where(inside, filtered(x, kernel), 0), kernel)
            + np.float32(regularisation) * x
        ),
        filtered(seen, kernel),
        iterations=iterations,
        tolerance=tolerance,
    )
    local = xp.where(inside, local, 0)
    if keep_edge:
        local, inside = with_edge(local, inside, total, deep > 0, voxel_size)
    return domain.extract(local), domain.extract(inside) > 0
