"""iSMV: the background as what taking the mean over a sphere again and again leaves."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.edge import with_edge
from gadgetron_qsm.background.sphere import ROUNDING, fits, less_mean
from gadgetron_qsm.conjugate_gradients import conjugate_gradients
from gadgetron_qsm.distance import depth
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import filtered


def ismv(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    radius_mm: float = 4.0,
    iterations: int = 100,
    tolerance: float = 1e-3,
    keep_edge: bool = True,
) -> tuple[Array, Array]:
    """Remove the background field with iSMV.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm.
    Every voxel whose sphere of `radius_mm` fits the mask takes the mean over it, again and again,
    while the others keep the total field, until nothing changes: that is the background. The end
    is computed without the way, by conjugate gradients for local = field - background, until the
    residual falls to `tolerance`, at most `iterations`, one transform pair each.
    Returns the local field (ppm, 0 outside) and the mask it holds in: where spheres fit, or with
    `keep_edge` the mask less three layers of voxels (see `edge.with_edge`).
    Raises ValueError when the mask is empty or the sphere does not fit it.
    Wen et al. 2014, doi:10.1002/mrm.24998.
    """
    xp = array_module(field)
    domain = Domain.around(mask, voxel_size, padding_mm=2 * (radius_mm + max(voxel_size)))
    deep = depth(domain.embed(mask) > 0, voxel_size, radius_mm * ROUNDING)
    inside = fits(deep, radius_mm)
    if not bool(inside.any()):
        raise ValueError(f"no sphere of {radius_mm:.2g} mm fits the mask")
    kernel = less_mean(domain.shape, radius_mm, voxel_size, like=field)

    def sharpened(x: Array) -> Array:
        return xp.where(inside, filtered(x, kernel), 0)

    total = domain.embed(field)
    # local = 0 where no sphere fits: field - mean is then all that tells of it elsewhere
    local = conjugate_gradients(
        sharpened, sharpened(total), iterations=iterations, tolerance=tolerance
    )
    if keep_edge:
        local, inside = with_edge(local, inside, total, deep > 0, voxel_size)
    return domain.extract(local), domain.extract(inside) > 0
