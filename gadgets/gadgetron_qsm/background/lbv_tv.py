"""LBV in two passes: the edge takes the field of the sources that the first pass leads to."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.lbv import lbv
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.tv import tv


def lbv_tv(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    b0_direction: Sequence[float],
    weight: Array | None = None,
    peel: int = 2,
    passes: int = 1,
    regularisation: float = 1e-4,
    iterations: int = 20,
    padding_mm: float = 20.0,
) -> tuple[Array, Array]:
    """Remove the background field with LBV, then again with what is known by then of the edge.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction unit
    vector (z, y, x); weight (z, y, x): relative precision of the field, 1 where best.
    Background removal takes every harmonic part of the local field for background, the larger
    half of its error: at the edge LBV holds the local field to be 0. A total variation inversion
    (`inversion.tv`: `weight`, `regularisation`, `iterations`, `padding_mm`) finds sources that
    explain the rest by its contrast. `passes` times their field is set down as local, and LBV
    divides what remains. An inversion takes two transform pairs an iteration, LBV 10 to 20.
    Returns the local field (ppm, 0 outside) and the mask as it is given: in the `peel` layers at
    its edge, where the measured field has no say, the local field is that of the sources found.
    Raises ValueError when the mask is empty or nothing is left of it.
    The parts: Zhou et al. 2014, doi:10.1002/nbm.3064; Bilgic et al. 2014, doi:10.1002/mrm.25029.
    """
    xp = array_module(field)
    domain = Domain.around(mask, voxel_size, padding_mm)
    trusted = xp.where(mask, 1 if weight is None else weight, 0).astype(xp.float32)
    local, inside = lbv(field, mask, voxel_size, peel=peel)
    for _ in range(passes):
        chi = tv(
            local,
            mask,
            voxel_size,
            b0_direction,
            weight=xp.where(inside, trusted, 0),
            regularisation=regularisation,
            iterations=iterations,
            padding_mm=padding_mm,
        )
        own = _field_of(chi, domain, voxel_size, b0_direction)
        local = own + lbv(xp.where(mask, field, 0) - own, mask, voxel_size, peel=peel)[0]
        inside = peeled(mask, peel)
    return local, mask.copy()


def _field_of(
    chi: Array, domain: Domain, voxel_size: Sequence[float], b0_direction: Sequence[float]
) -> Array:
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=chi)
    return domain.extract(filtered(domain.embed(chi), kernel))
