"""Single-step total variation: susceptibility from the total field, background and all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.distance import depth
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, from_half_spectra, half_spectra, of_real_fields
from gadgetron_qsm.inversion.admm import RELAXATION, SHRINK_PPM
from gadgetron_qsm.inversion.edges import edge_prices, shrink_edges
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum
from gadgetron_qsm.inversion.mean_value import (
    ROUNDING,
    mean_value_filter,
    squared_distance,
    transfer,
)
from gadgetron_qsm.inversion.ss_tv_steps import Filtered, settle, solve, step

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
    filtered = _filtered(total_field, weight, domain, voxel_size, b0_direction, radii)
    prices = edge_prices(domain, magnitude, edge_share)
    how = scales(voxel_size), regularisation, outlier_ppm, iterations
    chi = _minimise(filtered, prices, *how)
    return domain.extract(chi), mask


def _minimise(
    filtered: Filtered,
    prices: Sequence[Array],
    scale: Sequence[float],
    regularisation: float,
    outlier_ppm: float,
    iterations: int,
) -> Array:
    """Over-relaxed ADMM as in `admm`, with a copy of D chi behind each of the filters."""
    xp, shape = array_module(prices[0]), prices[0].shape
    smooth = np.float32(regularisation) / SHRINK_PPM
    cost = smooth * squared_spectrum(shape, scale, like=prices[0])
    cost[0, 0, 0] = 1  # the mean has no say in the field
    bounds = [SHRINK_PPM * price for price in prices]
    edges = [xp.zeros(shape, xp.float32) for _ in range(3)]
    held = xp.zeros(cost.shape, xp.complex64)
    off = filtered.field.copy()
    # what edges pull chi to, and the steps of each radius
    drawn = xp.zeros((1 + len(filtered.kernels), *shape), xp.float32)
    pull, steps = drawn[0], drawn[1:]
    chi = xp.zeros(shape, xp.float32)
    for iteration in range(1, iterations + 1):
        step(filtered, off, np.float32(outlier_ppm), steps)
        spectra = half_spectra(drawn)
        solve(spectra, held, filtered.kernels, cost, smooth, chi.size)
        if iteration == iterations:
            return from_half_spectra(spectra[0], shape, divide=False)
        found = from_half_spectra(spectra, shape, divide=False)
        shrink_edges(edges, found[0], bounds, RELAXATION, scale, out=pull)
        settle(filtered, found[1:], steps, off)
    return chi


def _filtered(
    total_field: Array,
    weight: Array | None,
    domain: Domain,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    radii: Sequence[float],
) -> Filtered:
    xp = array_module(total_field)
    dipole = dipole_kernel(domain.shape, voxel_size, b0_direction, like=total_field)
    dipole = of_real_fields(dipole, domain.shape[2])
    fidelity = domain.embed(domain.mask if weight is None else weight).ravel() ** 2
    spectrum = half_spectra(domain.embed(total_field))
    places = _places(domain, voxel_size, radii, fidelity > 0)
    if not places:
        raise ValueError(
            f"no sphere of {radii[-1]:.3g} mm fits the mask around a voxel of any weight; of few "
            "slices, invert the local field of lbv or pdf instead, as by tv"
        )
    kernels, fields, bows = [], [], []
    for radius, at in places:
        weights = mean_value_filter(radius, voxel_size)
        passed = transfer(weights, domain.shape, like=total_field)
        fields.append(from_half_spectra(passed * spectrum, domain.shape).ravel()[at])
        kernels.append(passed * dipole)
        bows.append(xp.full(at.shape, squared_distance(weights, voxel_size), xp.float32))
    voxels = fidelity.size
    at = xp.concatenate([at + n * voxels for n, (_, at) in enumerate(places)])
    index = np.int32 if len(places) * voxels < 2**31 else np.int64
    return Filtered.of(
        xp.stack(kernels),
        at.astype(index),
        xp.concatenate(fields),
        xp.concatenate([fidelity[at] for _, at in places]),
        xp.concatenate(bows),
    )


def _places(
    domain: Domain, voxel_size: Sequence[float], radii: Sequence[float], weighed: Array
) -> list[tuple[float, Array]]:
    """Return the radii that are the largest anywhere, with the flat indices of where."""
    xp = array_module(weighed)
    # the grid closes on itself: a rim of zeros keeps the far side from counting as inside
    inside = xp.pad(domain.embed(domain.mask) > 0, 1)
    deep = depth(inside, voxel_size, radii[0] * ROUNDING)[1:-1, 1:-1, 1:-1]
    deep = xp.where(weighed.reshape(domain.shape), deep, 0)
    places, most = [], np.inf
    for radius in radii:
        least = radius * ROUNDING
        at = xp.flatnonzero((deep > least) & (deep <= most))
        most = least
        if at.size:
            places.append((radius, at))
    return places


def _radii(smallest: float, largest: float, least: float) -> list[float]:
    """Radii in mm, the largest first, each GROWTH times the next or less."""
    if smallest > largest:
        raise ValueError(f"smallest radius {smallest:g} mm exceeds the largest, {largest:g} mm")
    smallest, largest = max(smallest, least), max(largest, least)
    count = int(np.ceil(np.log(largest / smallest) / np.log(GROWTH)))
    return [float(r) for r in np.geomspace(largest, smallest, count + 1)]
