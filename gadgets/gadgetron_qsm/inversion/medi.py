"""MEDI: the susceptibility whose edges are those of the magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.conjugate_gradients import Operator, conjugate_gradients
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.edges import edge_prices
from gadgetron_qsm.inversion.gradient import adjoint, forward, scales, squared_spectrum

FLAT_PPM = np.float32(1e-3)  # gradients below it cost their square: the norm has a slope at 0
OUTLIER = np.float32(6)  # typical misfits beyond which MERIT trusts the field less
NEWTON_TOLERANCE = 0.02  # of the last step relative to chi
CG_TOLERANCE = 0.1


def medi(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    magnitude: Array | None = None,
    radians_per_ppm: float | None = None,
    csf: Array | None = None,
    regularisation: float = 5e-5,
    edge_share: float = 0.3,
    csf_regularisation: float = 0.1,
    merit: bool = False,
    iterations: int = 6,
    cg_iterations: int = 20,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field by nonlinear MEDI, with CSF as reference where it is given (MEDI+0).

    Minimises 1/2 |W (exp(i s (D chi)) - exp(i s field)) / s|^2 + regularisation * |E grad chi|_1
    + csf_regularisation / 2 * |C (chi - its mean over C)|^2, with W the `weight` (z, y, x),
    relative precision of the field (default the mask); s `radians_per_ppm`, the phase of 1 ppm at
    the echo time (the misfit counts as it is without); E 0 at the `edge_share` of gradients in the
    mask across which the magnitude (z, y, x) changes most, and outside, else 1; and C the voxels of
    `csf` (z, y, x) bool, see `csf_mask`, which ought to be uniform: with it the map has that mean
    taken off.
    Gauss-Newton: `iterations` at most, each solved by conjugate gradients, preconditioned; the
    first is linear, so that strong sources are explained before misfits wrap. `merit` makes
    voxels with an outlying misfit count less from each iteration to the next.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction unit
    vector (z, y, x). `regularisation` in ppm; gradients are per mm times the geometric mean of the
    voxel sides. Zeros, `padding_mm` an axis, keep the dipole from wrapping.
    Three transform pairs an iteration of conjugate gradients.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask; its reference is the CSF, or none.
    Raises ValueError when the mask is empty, csf has no voxel in it, or regularisation or
    radians_per_ppm is not above 0.
    Liu et al. 2012, doi:10.1016/j.neuroimage.2011.08.082; 2013, doi:10.1002/mrm.24272 (nonlinear,
    MERIT); 2018, doi:10.1002/mrm.26946 (MEDI+0).
    """
    _check(regularisation, radians_per_ppm)
    domain = Domain.around(mask, voxel_size, padding_mm)
    measured = domain.embed(local_field)
    precision = domain.embed(mask if weight is None else weight) ** 2
    prices = [
        np.float32(regularisation) * (price == 1)
        for price in edge_prices(domain, magnitude, edge_share)
    ]
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=mask)
    evenness = _evenness(domain, csf, csf_regularisation)
    problem = _Problem(domain.shape, scales(voxel_size), kernel, prices, evenness)
    norm = array_module(mask).linalg.norm
    chi, trust = 0 * measured, precision
    for iteration in range(iterations):
        misfit = problem.field_of(chi) - measured
        if merit and iteration:
            trust = precision * _credit(misfit, precision)
        wrapped = _wrapped(misfit, radians_per_ppm if iteration else None)
        step = problem.step(chi, trust, wrapped, cg_iterations)
        chi = chi + step
        if bool(norm(step) < NEWTON_TOLERANCE * norm(chi)):
            break
    if csf is not None:
        chi = chi - _mean(chi, domain.embed(csf))
    return domain.extract(chi)


@dataclass(frozen=True)
class _Problem:
    """What stays the same while chi changes, all on the work grid."""

    shape: tuple[int, ...]
    scale: tuple[float, float, float]
    kernel: Array
    prices: Sequence[Array]
    evenness: Operator

    def field_of(self, chi: Array) -> Array:
        return filtered(chi, self.kernel)

    def step(self, chi: Array, trust: Array, misfit: Array, cg_iterations: int) -> Array:
        """Return the step from chi to the minimum of the cost made quadratic around it."""
        curbs = self.curbs(chi)

        def smooth(x: Array) -> Array:
            slopes = [curb * forward(x, axis, self.scale[axis]) for axis, curb in enumerate(curbs)]
            return adjoint(slopes, self.scale) + self.evenness(x)

        return conjugate_gradients(
            lambda x: self.field_of(trust * self.field_of(x)) + smooth(x),
            -self.field_of(trust * misfit) - smooth(chi),
            iterations=cg_iterations,
            tolerance=CG_TOLERANCE,
            precondition=self.preconditioner(trust, curbs),
        )

    def curbs(self, chi: Array) -> list[Array]:
        """Weights with which the squares of the gradients have the slope of their prices' sum."""
        xp = array_module(chi)
        return [
            price / xp.sqrt(forward(chi, axis, self.scale[axis]) ** 2 + FLAT_PPM**2)
            for axis, price in enumerate(self.prices)
        ]

    def preconditioner(self, trust: Array, curbs: Sequence[Array]) -> Operator:
        """Return a function that solves the problem as if weights were their mean everywhere."""
        curb = sum(c.mean() for c in curbs) / 3
        cost = curb * squared_spectrum(self.shape, self.scale, trust)
        cost = cost + trust.mean() * self.kernel**2
        cost[0, 0, 0] = cost[0, 0, 1]
        inverse = 1 / cost
        return lambda x: filtered(x, inverse)


def _check(regularisation: float, radians_per_ppm: float | None) -> None:
    if not regularisation > 0:
        raise ValueError(f"regularisation is {regularisation:g}; it must be above 0")
    if radians_per_ppm is not None and not radians_per_ppm > 0:
        raise ValueError(f"radians_per_ppm is {radians_per_ppm:g}; it must be above 0")


def _wrapped(misfit: Array, turns: float | None) -> Array:
    if turns is None:
        return misfit
    s = np.float32(turns)
    return array_module(misfit).sin(s * misfit) / s


def _credit(misfit: Array, precision: Array) -> Array:
    """What is left of each voxel's precision for its misfit, an outlier or not."""
    xp = array_module(misfit)
    off = xp.abs(misfit) * xp.sqrt(precision)
    typical = OUTLIER * xp.median(off[precision > 0])
    return 1 / xp.maximum(off / xp.maximum(typical, xp.finfo(xp.float32).tiny), 1) ** 2


def _mean(x: Array, inside: Array) -> Array:
    mean = (x * inside).sum(dtype=np.float64) / inside.sum(dtype=np.float64)
    return mean.astype(np.float32)


def _evenness(domain: Domain, csf: Array | None, strength: float) -> Operator:
    """Return a function that gives the deviation from the mean over CSF, times `strength`."""
    if csf is None:
        return lambda x: np.float32(0) * x
    inside = domain.embed(csf)
    if not bool(inside.any()):
        raise ValueError("no voxel of csf lies in the mask")
    return lambda x: np.float32(strength) * inside * (x - _mean(x, inside))
