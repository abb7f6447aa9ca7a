"""What changed from visit to visit, region by region, and what could have been told from none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.change import Change, change_of, seen
from gadgetron_qsm.measure.folder import Visit
from gadgetron_qsm.measure.halfway import halfway
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.protocol import differences
from gadgetron_qsm.measure.rigid import Rigid, register_rigid
from gadgetron_qsm.measure.shading import unshaded

LEAST_QUALITY = 0.7  # correlation of the magnitudes; heads that lie on each other have above 0.9
OVERRIDE = "--allow-differences compares them all the same, and lists these with the result"


@dataclass(frozen=True, eq=False)
class Interval:
    """From the first visit to a later one.

    rigid: how the head lies; reference_ppb: by how much the rest of the brain, which is taken not
    to change, differs, as when the reference does; differences: of protocol and settings, allowed.
    """

    later: Visit
    rigid: Rigid
    reference_ppb: float | None
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
    warnings = [*_warnings(visits), *_left_out(first.labels, intervals)]
    return Comparison(first, tuple(intervals), tuple(warnings))


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
    if other := list(_other_software(visits)):
        warnings.append(f"the visits were measured with other software: {'; '.join(other)}")
    return warnings


def _other_software(visits: Sequence[Visit]) -> Iterator[str]:
    """Give the programs whose versions differ, with these."""
    known = [visit.about.get("software") for visit in visits]
    software = [one if isinstance(one, dict) else {} for one in known]
    for name in dict.fromkeys(name for one in software for name in one):
        versions = dict.fromkeys(str(one.get(name, "not known")) for one in software)
        if len(versions) > 1:
            yield f"{name} {', then '.join(versions)}"


def _left_out(labels: LabelMap, intervals: Sequence[Interval]) -> Iterator[str]:
    for interval in intervals:
        there = {change.structure for change in interval.changes}
        if missing := [s.label for s in labels.structures if s not in there]:
            yield f"not in the maps at {interval.later.name} and before: {', '.join(missing)}"


def _interval(first: Visit, later: Visit, labels: LabelMap, different: tuple[str, ...]) -> Interval:
    one, other = first.scan, later.scan
    rigid = register_rigid(
        unshaded(one), one.geometry, unshaded(other), other.geometry, mask=one.mask
    )
    if rigid.quality < LEAST_QUALITY:
        raise QsmError(
            f"{later.name} does not lie on {first.name}: their magnitudes correlate by "
            f"{rigid.quality:.2f}, less than {LEAST_QUALITY}; are they of one head?"
        )
    both = seen(halfway(one, other, rigid.matrix), labels)
    found = (change_of(s, labels.mask(s), both) for s in labels.structures)
    changes = tuple(change for change in found if change)
    if not changes:
        raise QsmError(f"no region of {first.name} lies in its map and in that of {later.name}")
    rest = both.between.change[both.rest]
    return Interval(
        later=later,
        rigid=rigid,
        reference_ppb=float(rest.mean(dtype=np.float64)) if rest.size else None,
        changes=changes,
        differences=different,
    )
