"""What changed from visit to visit, region by region, and what could have been told from none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure import detectable
from gadgetron_qsm.measure.folder import Visit
from gadgetron_qsm.measure.halfway import Halfway, halfway
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.protocol import differences
from gadgetron_qsm.measure.rigid import Rigid, register_rigid

CORE = 2  # power of the share that a voxel counts by: those on the edge lie there by chance
# Of a label and its neighbours along an axis, what a structure fills that ends anywhere in between.
ENDS = (0.125, 0.75, 0.125)
TOUCHED = 0.05  # share of a structure from which on a voxel may change with it
MISPLACED_MM = 0.3  # error of a registration within a subject, of which a tenth of a voxel is good
LEAST_QUALITY = 0.7  # correlation of the magnitudes; heads that lie on each other have above 0.9
OVERRIDE = "--allow-differences compares them all the same, and lists these with the result"


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
class Interval:
    """From the first visit to a later one.

    rigid: how the head lies; reference_ppb: by how much the rest of the brain, which is taken not
    to change, differs, as when the reference does; differences: of protocol and settings, allowed.
    """

    later: Visit
    rigid: Rigid
    reference_ppb: float
    changes: tuple[Change, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The visits of a patient, the first one and what came since."""

    first: Visit
    intervals: tuple[Interval, ...]
    warnings: tuple[str, ...]

    @property
    def visits(self) -> tuple[Visit, ...]:
        """All of them, in their order."""
        return self.first, *(interval.later for interval in self.intervals)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Two visits on one grid: where the rest of the brain is, and how deep, and the map aside."""

    between: Halfway
    rest: NDArray[np.bool_]
    deep: NDArray[np.float32]
    steps: Sequence[NDArray[np.float32]]


def compare(visits: Sequence[Visit], *, allow_differences: bool = False) -> Comparison:
    """Compare later visits with the first, in the regions of the first.

    They are put in the order of their time; without one, they stay in the order given.
    Raises QsmError for fewer than two visits, two of one scan, two patients, a first visit without
    regions, protocols or settings that differ unless that is allowed, and heads that cannot be laid
    on each other.
    """
    if len(visits) < 2:
        raise QsmError("one visit is nothing to compare; name the folders of two or more")
    _refuse_repeated(visits)
    _refuse_strangers(visits)
    first, *later = _in_order(visits)
    if first.labels is None or not first.labels.structures:
        raise QsmError(f"{first.folder} has no regions; measure the first visit with an atlas")
    found = [differences(first, visit) for visit in later]
    for visit, different in zip(later, found, strict=True):
        if different and not allow_differences:
            told = "; ".join(different)
            raise QsmError(f"{first.name} and {visit.name} differ in {told}. {OVERRIDE}")
    intervals = [
        _interval(first, visit, first.labels, different)
        for visit, different in zip(later, found, strict=True)
    ]
    return Comparison(first, tuple(intervals), tuple(_warnings(visits)))


def _refuse_repeated(visits: Sequence[Visit]) -> None:
    for one, other in combinations(visits, 2):
        if one.folder.resolve() == other.folder.resolve():
            raise QsmError(f"{one.folder} is named twice; name the folders of different visits")
        if np.array_equal(one.scan.chi, other.scan.chi):
            raise QsmError(f"{one.folder} and {other.folder} are of one scan; name another visit")


def _refuse_strangers(visits: Sequence[Visit]) -> None:
    for one, other in combinations(visits, 2):
        if one.patient and other.patient and one.patient != other.patient:
            raise QsmError(f"{one.folder} and {other.folder} are of two patients; compare only one")


def _in_order(visits: Sequence[Visit]) -> list[Visit]:
    if any(visit.acquired is None for visit in visits):
        return list(visits)
    return sorted(visits, key=attrgetter("acquired"))


def _warnings(visits: Sequence[Visit]) -> list[str]:
    warnings = []
    if unknown := [visit.name for visit in visits if not visit.patient]:
        warnings.append(f"no patient is known of {', '.join(unknown)}: look whether it is one")
    if any(visit.acquired is None for visit in visits):
        warnings.append(
            "not all visits have a time: they are in the order in which they were named"
        )
    versions = {str(visit.about.get("software")) for visit in visits}
    if len(versions) > 1:
        warnings.append(
            f"the visits were measured with other software: {', '.join(sorted(versions))}"
        )
    return warnings


def _interval(first: Visit, later: Visit, labels: LabelMap, different: tuple[str, ...]) -> Interval:
    one, other = first.scan, later.scan
    rigid = register_rigid(
        one.magnitude, one.geometry, other.magnitude, other.geometry, mask=one.mask
    )
    if rigid.quality < LEAST_QUALITY:
        raise QsmError(
            f"{later.name} does not lie on {first.name}: their magnitudes correlate by "
            f"{rigid.quality:.2f}, less than {LEAST_QUALITY}; are they of one head?"
        )
    between = halfway(one, other, rigid.matrix)
    rest = between.valid & (between.of_first(labels.values > 0) < TOUCHED)
    present = [s for s in labels.structures if labels.mask(s).any()]
    seen = _Seen(
        between,
        rest,
        detectable.depths(between.valid, between.grid.voxel_size),
        [between.of_first(one.chi, step) for step in _steps()],
    )
    changes = [
        _change(structure, labels.mask(structure), seen, detectable.deviations(len(present)))
        for structure in present
    ]
    reference = float(between.change[rest].mean()) if rest.any() else 0.0
    return Interval(later, rigid, reference, tuple(changes), different)


def _steps() -> NDArray[np.float64]:
    return MISPLACED_MM * np.concatenate([np.eye(3), -np.eye(3)])


def _change(
    structure: Structure, region: NDArray[np.bool_], seen: _Seen, deviations: float
) -> Change:
    between, rest, first = seen.between, seen.rest, seen.between.first
    whole = between.of_first(_filled(region))
    share = np.where(between.valid, whole, 0)
    measured = region & first.mask
    if not (share.any() and measured.any()):
        raise QsmError(f"{structure.label} is not in the maps of both visits; leave it out")
    weights = share**CORE
    weights /= (weights * share).sum(dtype=np.float64)  # so that a change of the region is 1
    # labels of the whole brain leave no rest: then all but the region itself is that
    free = rest if 2 * rest.sum() > between.valid.sum() else between.valid & (whole < TOUCHED)
    elsewhere = detectable.elsewhere(between.change, weights, free, seen.deep)
    noise = _noise(between, weights)
    aside = [_sum(weights, step - between.chi[0]) for step in seen.steps]
    misplaced = float(np.sqrt(np.mean(np.square(aside))))
    uncertainty = _uncertainty(elsewhere, noise, misplaced)
    return Change(
        structure=structure,
        first_ppb=float(first.chi[measured].mean(dtype=np.float64)),
        change_ppb=_sum(weights, between.change),
        detectable_ppb=None if uncertainty is None else deviations * uncertainty,
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
