"""Total variation: the piecewise smooth susceptibility that explains the local field."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.admm import minimise, squared_misfit
from gadgetron_qsm.inversion.edges import edge_prices


def tv(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    magnitude: Array | None = None,
    regularisation: float = 5e-5,
    edge_share: float = 0.3,
    iterations: int = 25,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field under total variation, by ADMM.

    Minimises 1/2 |W (D chi - field)|^2 + regularisation * |grad chi|_1, with W the `weight`
    (z, y, x), relative precision of the field (1 where best; default the mask), 0 outside.
    Gradients count inside the mask only, and less where the magnitude (z, y, x) has its edges,
    the `edge_share` of all. Sources outside the mask are free: they explain what background is
    left, and the map is cut to the mask in the end.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). `regularisation` in ppm; gradients are per mm times the geometric mean
    of the voxel sides. Zeros, `padding_mm` an axis, keep the dipole from wrapping.
    Two transform pairs an iteration.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or the regularisation not above 0.
    Bilgic et al. 2014, doi:10.1002/mrm.25029; Milovic et al. 2018, doi:10.1002/mrm.27073.
    """
    if not regularisation > 0:
        raise ValueError(f"the regularisation is {regularisation:g}; it must be above 0")
    domain = Domain.around(mask, voxel_size, padding_mm)
    precision = domain.embed(mask if weight is None else weight)
    found = minimise(
        squared_misfit(domain.embed(local_field), precision**2),
        dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field),
        domain,
        voxel_size,
        edge_prices(domain, magnitude, edge_share),
        regularisation=regularisation,
        iterations=iterations,
    )
    return domain.extract(found.chi)
