"""Single-step total variation: susceptibility from the total field, background and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.distance import depth
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.admm import FIT, RELAXATION, SHRINK_PPM
from gadgetron_qsm.inversion.edges import edge_prices, shrink_edges
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum
from gadgetron_qsm.inversion.mean_value import (
    ROUNDING,
    mean_value_filter,
    squared_distance,
    transfer,
)

GROWTH = 1.65  # of a sphere's radius over that of the next smaller
FEWEST = 2.0  # voxel sides in the smallest radius


def ss_tv(
    total_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    magnitude: Array | None = None,
    regularisation: float = 1.5e-5,
    edge_share: float = 0.3,
    smallest_radius_mm: float = 6.0,
    largest_radius_mm: float = 16.0,
    outlier_ppm: float = 0.005,
    iterations: int = 30,
    padding_mm: float = 20.0,
) -> tuple[Array, Array]:
    """Invert the total field under total variation, blind to what comes from outside the mask.

    Minimises sum_r W_r^2 rho(F_r (D chi - field - c |x|^2)) + regularisation * |grad chi|_1, with
    rho half the square, but linear beyond `outlier_ppm`, as some spheres hold wrong turns of phase.
    F_r, a voxel minus the mean over its sphere of radius r, lets nothing harmonic pass, so that no
    background has to be removed before. Each voxel has the largest sphere that fits the mask:
    radii from `smallest_radius_mm` (at least two voxel sides) to `largest_radius_mm`. Voxels
    nearer to the edge keep their say, as they lie in the spheres of others. c, fitted along, takes
    the one part of a smooth field that is not harmonic.
    total_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). `weight`, `magnitude`, `regularisation`, `edge_share` and `padding_mm`
    as in `tv`. One transform pair an iteration and another for each radius.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced, and the mask.
    Raises ValueError when the mask is empty, no sphere fits it, or a parameter is out of range.
    Chatnuntawech et al. 2017, doi:10.1002/nbm.3570; variable spheres: Wu et al. 2012,
    doi:10.1002/mrm.23000.
    """
    for name, value in (("regularisation", regularisation), ("outlier_ppm", outlier_ppm)):
        if not value > 0:
            raise ValueError(f"the {name} is {value:g}; it must be above 0")
    domain = Domain.around(mask, voxel_size, padding_mm)
    radii = _radii(smallest_radius_mm, largest_radius_mm, FEWEST * max(voxel_size))
    data = _filtered(total_field, weight, domain, voxel_size, b0_direction, radii, outlier_ppm)
    prices = edge_prices(domain, magnitude, edge_share)
    chi = _minimise(data, prices, scales(voxel_size), regularisation, iterations)
    return domain.extract(chi), mask


@dataclass(frozen=True)
class _Filtered:
    """The field behind the filter of one radius, at the voxels that the radius is the largest for.

    kernel: dipole and filter on the half spectrum; at: flat indices of the voxels on the work grid;
    field, in ppm; trust: how far a step goes to it, below 1, and reach: at most, in ppm; bow: what
    the filter makes of |x|^2.
    """

    kernel: Array
    at: Array
    field: Array
    trust: Array
    reach: Array
    bow: float


def _steps(data: Sequence[_Filtered], predicted: Sequence[Array]) -> list[Array]:
    """Return for each radius the proximal step from a predicted field to the data."""
    xp = array_module(predicted[0])
    misfits = [d.field - field.ravel()[d.at] for d, field in zip(data, predicted, strict=True)]
    pull = sum(
        d.bow * (d.trust * misfit).sum(dtype=xp.float64)
        for d, misfit in zip(data, misfits, strict=True)
    )
    curvature = pull / sum(d.bow**2 * d.trust.sum(dtype=xp.float64) for d in data)
    return [
        xp.clip(d.trust * (misfit - (curvature * d.bow).astype(xp.float32)), -d.reach, d.reach)
        for d, misfit in zip(data, misfits, strict=True)
    ]


def _minimise(
    data: Sequence[_Filtered],
    prices: Sequence[Array],
    scale: Sequence[float],
    regularisation: float,
    iterations: int,
) -> Array:
    """Over-relaxed ADMM as in `admm`, with a copy of D chi behind each of the filters."""
    xp, fft = array_module(prices[0]), fft_module(prices[0])
    shape, smooth = prices[0].shape, np.float32(regularisation) / SHRINK_PPM
    normal = smooth * squared_spectrum(shape, scale, like=prices[0])
    for d in data:
        normal += FIT * d.kernel**2
    normal[0, 0, 0] = 1  # the mean has no say in the field
    bounds = [SHRINK_PPM * price for price in prices]
    edges = [xp.zeros(shape, xp.float32) for _ in range(3)]
    fields = [xp.zeros(shape, xp.float32) for _ in data]
    pull = chi = xp.zeros(shape, xp.float32)
    for _ in range(iterations):
        steps = _steps(data, fields)
        spectrum = smooth * fft.rfftn(pull)
        for d, field, step in zip(data, fields, steps, strict=True):
            field.ravel()[d.at] += 2 * step
            spectrum += (FIT * d.kernel) * fft.rfftn(field)
        spectrum /= normal
        chi = fft.irfftn(spectrum, s=shape)
        pull = shrink_edges(edges, chi, bounds, RELAXATION, scale)
        for n, (d, step) in enumerate(zip(data, steps, strict=True)):
            fields[n] *= np.float32(1 - RELAXATION)
            fields[n] += np.float32(RELAXATION) * fft.irfftn(d.kernel * spectrum, s=shape)
            fields[n].ravel()[d.at] += np.float32(RELAXATION - 2) * step
    return chi


def _filtered(
    total_field: Array,
    weight: Array | None,
    domain: Domain,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    radii: Sequence[float],
    outlier_ppm: float,
) -> list[_Filtered]:
    xp, fft = array_module(total_field), fft_module(total_field)
    dipole = dipole_kernel(domain.shape, voxel_size, b0_direction, like=total_field)
    fidelity = domain.embed(domain.mask if weight is None else weight).ravel() ** 2
    spectrum = fft.rfftn(domain.embed(total_field))
    # the grid closes on itself: a rim of zeros keeps the far side from counting as inside
    inside = xp.pad(domain.embed(domain.mask) > 0, 1)
    deep = depth(inside, voxel_size)[1:-1, 1:-1, 1:-1]
    weighed = (fidelity > 0).reshape(domain.shape)
    data, most = [], np.inf
    for radius in radii:
        least = radius * ROUNDING
        at = xp.flatnonzero((deep > least) & (deep <= most) & weighed)
        most = least
        if at.size == 0:
            continue
        weights = mean_value_filter(radius, voxel_size)
        passed = transfer(weights, domain.shape, like=total_field)
        field = fft.irfftn(passed * spectrum, s=domain.shape).ravel()[at]
        trust = fidelity[at] / (fidelity[at] + FIT)
        reach = np.float32(outlier_ppm) / FIT * fidelity[at]
        bow = squared_distance(weights, voxel_size)
        data.append(_Filtered(passed * dipole, at, field, trust, reach, bow))
    if not data:
        raise ValueError(
            f"no sphere of {radii[-1]:.3g} mm fits the mask around a voxel of any weight; of few "
            "slices, invert the local field of lbv or pdf instead, as by tv"
        )
    return data


def _radii(smallest: float, largest: float, least: float) -> list[float]:
    """Radii in mm, the largest first, each GROWTH times the next or less."""
    if smallest > largest:
        raise ValueError(f"smallest radius {smallest:g} mm exceeds the largest, {largest:g} mm")
    smallest, largest = max(smallest, least), max(largest, least)
    count = int(np.ceil(np.log(largest / smallest) / np.log(GROWTH)))
    return [float(r) for r in np.geomspace(largest, smallest, count + 1)]
