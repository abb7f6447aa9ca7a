"""By how much a region changed between two visits that lie on one grid, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.measure import detectable
from gadgetron_qsm.measure.halfway import Halfway
from gadgetron_qsm.measure.labels import LabelMap, Structure

CORE = 2  # power of the share that a voxel counts by: those on the edge lie there by chance
# Of a label and its neighbours along an axis, what a structure fills that ends anywhere in between.
ENDS = (0.125, 0.75, 0.125)
TOUCHED = 0.05  # share of a structure from which on a voxel may change with it
# Smooth differences between maps are those of the background field, which is another when the head
# lies otherwise; standard deviation of a Gaussian, wider than nuclei.
DRIFT_MM = 20.0
MISPLACED_MM = 0.3  # error of a registration within a subject, of which a tenth of a voxel is good


@dataclass(frozen=True)
class Change:
    """A region at the first and a later visit, in ppb.

    first is the mean of the region's voxels; change is that of all of the region which explains
    best how its voxels changed, of which those on the edge belong to it in part; later is both
    together. uncertainty is the standard deviation of the change, None when nothing tells. It is
    made of `elsewhere`, that of places of the same shape in the rest of the brain, or of `noise`,
    what the noise maps alone explain, if that is more; and of `misplaced`, what an error of
    MISPLACED_MM in laying the heads on each other does. detectable is the least change that can be
    told from none, in a table of as many regions. fraction_inside is the share of the region where
    both maps hold.
    """

    structure: Structure
    first_ppb: float
    change_ppb: float
    detectable_ppb: float | None
    uncertainty_ppb: float | None
    elsewhere_ppb: float | None
    noise_ppb: float | None
    misplaced_ppb: float
    fraction_inside: float

    @property
    def later_ppb(self) -> float:
        """What the region has at the later visit."""
        return self.first_ppb + self.change_ppb

    @property
    def changed(self) -> bool | None:
        """Whether the change is more than what is detectable; None when that is not known."""
        return None if self.detectable_ppb is None else abs(self.change_ppb) > self.detectable_ppb


@dataclass(frozen=True, eq=False)
class Seen:
    """Two visits on one grid, arrays (z, y, x).

    change: later less first (ppb), without what drifts in the rest of the brain; rest: the brain
    beside all structures, whose number is `regions`; deep: how far from the edge of
    the maps (mm); aside: maps of the first, its head laid MISPLACED_MM aside, in ppb.
    """

    between: Halfway
    change: NDArray[np.float32]
    rest: NDArray[np.bool_]
    deep: NDArray[np.float32]
    aside: Sequence[NDArray[np.float32]]
    regions: int


def seen(between: Halfway, labels: LabelMap) -> Seen:
    """Return what changes are told by; labels are on the grid of the first visit."""
    rest = between.valid & (between.of_first(labels.values > 0) < TOUCHED)
    steps = MISPLACED_MM * np.concatenate([np.eye(3), -np.eye(3)])
    # labels of the whole brain leave no rest that could tell
    enough = 2 * rest.sum() > between.valid.sum()
    drift = _drift(between.change, rest, between.grid.voxel_size) if enough else 0
    return Seen(
        between,
        np.where(between.valid, between.change - drift, np.float32(0)),
        rest,
        detectable.depths(between.valid, between.grid.voxel_size),
        [between.of_first(between.first.chi, step) for step in steps],
        len(labels.structures),
    )


def _drift(
    change: NDArray[np.float32], rest: NDArray[np.bool_], voxel_size: Sequence[float]
) -> NDArray[np.float32]:
    """Return the smooth part (z, y, x) of a change, as the rest of the brain shows it."""
    sigma = DRIFT_MM / np.array(voxel_size)
    known, share = (
        scipy.ndimage.gaussian_filter(data.astype(np.float32), sigma, truncate=3)
        for data in (np.where(rest, change, 0), rest)
    )
    drift: NDArray[np.float32] = known / np.maximum(share, np.float32(1e-4))
    return drift


def change_of(structure: Structure, region: NDArray[np.bool_], seen: Seen) -> Change | None:
    """Return the change of a region (z, y, x) of the first visit's grid; None outside the maps.

    That of a uniform change which explains the map of changes best, by least squares in which a
    voxel's weight is the part that the region fills of it, relative to the rest of the brain around
    it, if there is one: weighted means of regions at coarse
    voxels, mixed with what is around, make too little of a change.
    """
    between, rest, first = seen.between, seen.rest, seen.between.first
    whole = between.of_first(_filled(region))
    share = np.where(between.valid, whole, 0)
    measured = region & first.mask
    if not (share.any() and measured.any()):
        return None
    weights = share**CORE
    weights /= (weights * share).sum(dtype=np.float64)  # so that a change of the region is 1
    # labels of the whole brain leave no rest: then all but the region itself is that
    free = rest if 2 * rest.sum() > between.valid.sum() else between.valid & (whole < TOUCHED)
    elsewhere = detectable.elsewhere(seen.change, weights, free, seen.deep)
    noise = _noise(between, weights)
    aside = [_sum(weights, step - between.chi[0]) for step in seen.aside]
    misplaced = float(np.sqrt(np.mean(np.square(aside))))
    uncertainty = _uncertainty(elsewhere, noise, misplaced)
    return Change(
        structure=structure,
        first_ppb=float(first.chi[measured].mean(dtype=np.float64)),
        change_ppb=_sum(weights, seen.change),
        detectable_ppb=None
        if uncertainty is None
        else detectable.deviations(seen.regions) * uncertainty,
        uncertainty_ppb=uncertainty,
        elsewhere_ppb=elsewhere,
        noise_ppb=noise,
        misplaced_ppb=misplaced,
        fraction_inside=float(share.sum() / whole.sum()),
    )


def _filled(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return what part of each voxel (z, y, x) a structure fills, as its label alone tells."""
    share = region.astype(np.float32)
    for axis in range(3):
        share = scipy.ndimage.correlate1d(share, ENDS, axis, mode="constant")
    return share


def _sum(weights: NDArray[np.floating], values: NDArray[np.floating]) -> float:
    return float((weights * values).sum(dtype=np.float64))


def _noise(between: Halfway, weights: NDArray[np.floating]) -> float | None:
    """Return the standard deviation of the change from the noise maps, as if voxels had their own.

    They share some, so that this is the least that noise can do.
    """
    one, other = between.first.noise, between.later.noise
    if one is None or other is None:
        return None
    variance = between.of_first(one) ** 2 + between.of_later(other) ** 2
    return float(np.sqrt(_sum(weights**2, variance)))


def _uncertainty(elsewhere: float | None, noise: float | None, misplaced: float) -> float | None:
    known = [part for part in (elsewhere, noise) if part is not None]
    return float(np.hypot(max(known), misplaced)) if known else None
