"""PDF: the background as the field of sources outside the mask that comes nearest."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.conjugate_gradients import conjugate_gradients
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered


def pdf(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    b0_direction: Sequence[float],
    weight: Array | None = None,
    peel: int = 1,
    iterations: int = 60,
    tolerance: float = 1e-4,
    padding_mm: float = 20.0,
) -> tuple[Array, Array]:
    """Remove the background field by projection onto dipole fields.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction unit
    vector (z, y, x). Minimises |W (D chi - field)|^2 over sources chi outside the mask, by
    conjugate gradients until the residual falls to `tolerance`, at most `iterations`: two
    transform pairs each. W is the `weight` (z, y, x), relative precision of the field (1 where
    best; default the mask). The `peel` layers of voxels at the mask's edge hold other tissue too:
    they count as outside. What local and outer sources have in common is lost, the more the longer
    it runs. `padding_mm` an axis hold further sources and keep the dipoles from wrapping.
    Returns the local field (ppm, 0 outside) and the mask it holds in, less `peel` layers.
    Raises ValueError when the mask is empty or nothing is left of it.
    Liu et al. 2011, doi:10.1002/nbm.1670.
    """
    xp = array_module(field)
    domain = Domain.around(mask, voxel_size, padding_mm)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=field)
    inside = peeled(domain.embed(mask) > 0, peel)
    if not bool(inside.any()):
        raise ValueError(f"nothing is left of the mask less {peel} layers of voxels")
    precision = xp.where(inside, domain.embed(mask if weight is None else weight) ** 2, 0)

    def dipoles(x: Array) -> Array:
        return filtered(x, kernel)

    def seen_from_outside(x: Array) -> Array:
        return xp.where(inside, 0, dipoles(precision * x))

    total = domain.embed(field)
    sources = conjugate_gradients(
        lambda chi: seen_from_outside(dipoles(chi)),
        seen_from_outside(total),
        iterations=iterations,
        tolerance=tolerance,
    )
    local = xp.where(inside, total - dipoles(sources), 0)
    return domain.extract(local), domain.extract(inside) > 0
