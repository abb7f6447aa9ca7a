"""LBV: the background as the harmonic function with the total field's values at the mask's edge."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.edge import curvature, peeled, poisson
from gadgetron_qsm.domain import Domain


def lbv(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    peel: int = 2,
    tolerance: float = 1e-3,
    iterations: int = 100,
) -> tuple[Array, Array]:
    """Remove the background field by a Laplacian boundary value problem.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm.
    Inside, local and total field have one Laplacian; at the edge the local field, the smaller of
    the two by far, is taken to be 0. This makes the local field the solution of a Poisson problem,
    solved by conjugate gradients until the residual falls to `tolerance`, at most `iterations`:
    10 to 20, one transform pair each.
    The edge's values go into all the volume: `peel` layers of voxels are taken off first, because
    those at the edge hold other tissue and noise; without it the method fails.
    Returns the local field (ppm, 0 outside) and the mask it holds in: less `peel` layers and the
    one where it is 0. Raises ValueError when the mask is empty or nothing is left of it.
    Zhou et al. 2014, doi:10.1002/nbm.3064.
    """
    xp = array_module(field)
    domain = Domain.around(mask, voxel_size, padding_mm=0)
    kept = peeled(domain.embed(mask) > 0, peel)
    inside = peeled(kept, 1)
    if not bool(inside.any()):
        raise ValueError(f"nothing is left of the mask less {peel} + 1 layers of voxels")
    right = xp.where(inside, curvature(domain.embed(field), voxel_size), 0)
    local = poisson(right, inside, voxel_size, tolerance=tolerance, iterations=iterations)
    return domain.extract(local), domain.extract(inside) > 0
