"""Lesions that were outlined: their susceptibility, and that of their rim over their core.

Multiple sclerosis leaves lesions, some of which keep a rim of microglia that hold iron: their rim
is more paramagnetic than their core (Zhang et al. 2019, doi:10.3174/ajnr.A6071).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.distance import depth
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mask.morphology import bounding_box
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.peaks import CORNERS
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.statistics import Statistics, standard_error, statistics

FEWEST = 4  # voxels in a core, below which it is taken for none


@dataclass(frozen=True)
class Rim:
    """Rim and core of a lesion, in ppb: how much more paramagnetic the rim is, and how surely.

    error: standard deviation of the difference: from the noise map, or else from how much the
    voxels of each differ among themselves.
    """

    rim: Statistics
    core: Statistics
    difference_ppb: float
    error_ppb: float


@dataclass(frozen=True)
class Lesion:
    """One lesion: its label and number there, its centre (LPS, mm), chi in all of it (ppb).

    rim: None where the lesion is too small to have a core.
    """

    label: str
    number: int
    centre_mm: tuple[float, float, float]
    chi: Statistics
    rim: Rim | None


def lesions(
    scan: Scan, labels: LabelMap, *, rim_mm: float = 2.0, correlation_mm: float | None = None
) -> list[Lesion]:
    """Measure each connected piece of each label, in the order of labels, the largest first.

    rim_mm: thickness of the rim, from the lesion's surface inwards, at least a voxel everywhere;
    correlation_mm as in `statistics`. What lies outside the scan's mask is not measured; a piece
    that does so altogether is left out.
    Raises QsmError when no piece of any label is left; ValueError for labels on another grid.
    """
    if labels.values.shape != scan.chi.shape:
        raise ValueError(f"labels are {labels.values.shape}, the scan {scan.chi.shape}")
    found = []
    for structure in labels.structures:
        pieces, count = scipy.ndimage.label(labels.mask(structure), CORNERS)
        sizes = np.bincount(pieces[scan.mask], minlength=count + 1)[1:]
        order = np.argsort(-sizes, kind="stable")
        for number, piece in enumerate(order[: np.count_nonzero(sizes)], start=1):
            region = pieces == piece + 1
            found.append(_lesion(scan, region, structure.label, number, rim_mm, correlation_mm))
    if not found:
        raise QsmError("no lesion lies where the map holds: is the label map that of this scan?")
    return found


def _lesion(
    scan: Scan,
    region: NDArray[np.bool_],
    label: str,
    number: int,
    rim_mm: float,
    correlation_mm: float | None,
) -> Lesion:
    size = scan.geometry.voxel_size
    box = bounding_box(region, size, 0.0)
    centre = np.argwhere(region).mean(axis=0)
    region, valid, chi = region[box], scan.mask[box], scan.chi[box]
    noise = None if scan.noise is None else scan.noise[box]

    def measured(part: NDArray[np.bool_]) -> Statistics:
        return statistics(chi, part, size, noise=noise, correlation_mm=correlation_mm, valid=valid)

    def error(part: NDArray[np.bool_], found: Statistics) -> float:
        if found.standard_error is not None:
            return found.standard_error
        spread = np.full(chi.shape, found.sd)
        return standard_error(spread, part & valid, size, correlation_mm)

    to_surface = math.prod(size) ** (1 / 3) / 2  # of a voxel there, from its neighbour outside
    outer = region & (depth(region, size) <= max(rim_mm + to_surface, *size))
    inner = region & ~outer
    rim = None
    if (inner & valid).sum() >= FEWEST and (outer & valid).any():
        of_rim, of_core = measured(outer), measured(inner)
        uncertain = math.hypot(error(outer, of_rim), error(inner, of_core))
        rim = Rim(of_rim, of_core, of_rim.mean - of_core.mean, uncertain)
    x, y, z = (scan.geometry.affine @ [*centre[::-1], 1])[:3].tolist()
    return Lesion(label, number, (x, y, z), measured(region), rim)
