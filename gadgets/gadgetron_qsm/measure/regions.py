"""The numbers of every structure in every map of a scan."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.labels import LabelMap, Side, Structure
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.statistics import Statistics, statistics
from gadgetron_qsm.reference import WHOLE_BRAIN

Box = tuple[slice, slice, slice]
Mask = NDArray[np.bool_]

log = logging.getLogger(__name__)

CHI = "chi"
UNITS = {CHI: "ppb", "chi_positive": "ppb", "chi_negative": "ppb", "r2star": "1/s"}


@dataclass(frozen=True)
class Row:
    """What a map holds in a region.

    `reference` is the region whose mean is 0 in the map, None for a map that is not relative.
    `corrected` is the mean without what voxels hold of the surroundings, None when not known.
    """

    region: str
    side: Side | None
    map: str
    unit: str
    reference: str | None
    found: Statistics
    corrected: float | None = None

    @property
    def label(self) -> str:
        """The region with its side."""
        return f"{self.side} {self.region}" if self.side else self.region


def rows(
    scan: Scan,
    labels: LabelMap,
    *,
    reference: str = WHOLE_BRAIN,
    samples: NDArray[Any] | None = None,
    corrected: Mapping[Structure, float] | None = None,
) -> list[Row]:
    """Measure the whole brain, and then each structure, in chi and in the scan's other maps.

    The whole brain is where the map holds; it comes first, so that a reader can refer chi to it
    whatever its `reference`, the region whose mean is 0. A structure that lies in it in part is
    measured there; one without a voxel in it is left out, with a warning in the log.
    samples (sample, z, y, x): those of the noise of chi, from measure.noise; else the standard
    errors of chi are of the scan's noise map, if it has one. Other maps have none. corrected: means
    of chi from partial_volume.py.
    Raises QsmError for labels on another grid than the scan's and for an empty mask, ValueError for
    a map of no known unit.
    Consensus on what to report: doi:10.1002/mrm.30006.
    """
    _check(scan, labels)
    regions = list(_regions(scan, labels))
    noise = scan.noise if samples is None else samples
    means = {(s.name, s.side): mean for s, mean in (corrected or {}).items()}
    found = []
    for name, values in {CHI: scan.chi, **scan.others}.items():
        of_chi = name == CHI
        for region, side, box, mask in regions:
            z, y, x = box
            numbers = statistics(
                values[box],
                mask,
                scan.geometry.voxel_size,
                noise=noise[..., z, y, x] if of_chi and noise is not None else None,
                valid=scan.mask[box],
            )
            mean = means.get((region, side)) if of_chi else None
            relative = reference if of_chi else None
            found.append(Row(region, side, name, UNITS[name], relative, numbers, mean))
    return found


def _check(scan: Scan, labels: LabelMap) -> None:
    if labels.values.shape != scan.chi.shape:
        raise QsmError(
            f"the regions' grid is {labels.values.shape}, the scan's {scan.chi.shape} voxels "
            "(z, y, x); bring the regions onto the scan's grid"
        )
    if not scan.mask.any():
        raise QsmError("the mask is empty: there is no map to measure")
    if unknown := sorted(set(scan.others) - set(UNITS)):
        raise ValueError(f"no unit is known of the map {', '.join(unknown)}")


def _regions(scan: Scan, labels: LabelMap) -> Iterator[tuple[str, Side | None, Box, Mask]]:
    """Give name and side of the regions that the map holds of, their box, and the mask in it."""
    yield (WHOLE_BRAIN, None, *_boxed(scan.mask))
    missing = []
    for structure in labels.structures:
        mask = labels.mask(structure)
        if (mask & scan.mask).any():
            yield (structure.name, structure.side, *_boxed(mask))
        else:
            missing.append(structure.label)
    if missing:
        log.warning("regions without a voxel in the map were left out: %s", ", ".join(missing))


def _boxed(mask: Mask) -> tuple[Box, Mask]:
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    return box, mask[box]
