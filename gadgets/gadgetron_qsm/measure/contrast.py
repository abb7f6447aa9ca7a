"""How a structure stands out from what surrounds it, as for planning where an electrode goes.

Liu et al. 2013, doi:10.1148/radiol.13121991, compare maps by it for the subthalamic nucleus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mask.morphology import bounding_box, dilate
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.statistics import Statistics, statistics


@dataclass(frozen=True)
class Contrast:
    """A structure against the shell around it, in ppb.

    contrast_ppb: mean in it less mean around it, with its standard error from the noise map, None
    without one. cnr_around is it over the standard deviation in the shell, which holds both noise
    and anatomy, infinite where that is 0; cnr_noise is it over the root mean square of the noise
    map in both, None without one.
    """

    structure: Structure
    inside: Statistics
    around: Statistics
    contrast_ppb: float
    standard_error: float | None
    cnr_around: float
    cnr_noise: float | None


def contrasts(
    scan: Scan, labels: LabelMap, name: str, *, gap_mm: float = 1.0, thickness_mm: float = 2.0
) -> list[Contrast]:
    """Compare the structures of a name, one a side, with the shells around them.

    A shell begins gap_mm from the structure, as its border is uncertain, and is thickness_mm thick,
    at least a voxel; it holds no other structure, and nothing outside the scan's mask.
    Raises QsmError when no structure has that name, or it or its shell lies outside the mask;
    ValueError for labels on another grid.
    """
    if labels.values.shape != scan.chi.shape:
        raise ValueError(f"labels are {labels.values.shape}, the scan {scan.chi.shape}")
    named = [structure for structure in labels.structures if structure.name == name]
    if not named:
        known = sorted({structure.name for structure in labels.structures})
        raise QsmError(f"no structure is named '{name}'; the label map has {', '.join(known)}")
    return [_contrast(scan, labels, structure, gap_mm, thickness_mm) for structure in named]


def _contrast(
    scan: Scan, labels: LabelMap, structure: Structure, gap_mm: float, thickness_mm: float
) -> Contrast:
    size = scan.geometry.voxel_size
    whole = labels.mask(structure)
    if not (whole & scan.mask).any():
        raise QsmError(f"the {structure.label} lies outside the map: it has no contrast")
    to_surface = math.prod(size) ** (1 / 3) / 2  # of the structure, from its voxels there
    reach_mm = gap_mm + max(thickness_mm, *size)
    box = bounding_box(whole, size, reach_mm + to_surface)
    region, valid = whole[box], scan.mask[box]
    shell = dilate(region, size, reach_mm + to_surface)
    shell &= ~dilate(region, size, gap_mm + to_surface)
    shell &= valid & (labels.values[box] == 0)
    if not shell.any():
        raise QsmError(f"nothing unlabelled surrounds the {structure.label} within {reach_mm:g} mm")

    def measured(part: NDArray[np.bool_]) -> Statistics:
        noise = None if scan.noise is None else scan.noise[box]
        return statistics(scan.chi[box], part, size, noise=noise, valid=valid)

    inside, around = measured(region), measured(shell)
    contrast = inside.mean - around.mean
    error = noise_ratio = None
    if scan.noise is not None:
        both = scan.noise[box][(region & valid) | shell].astype(np.float64)
        noise_ratio = _ratio(contrast, math.sqrt(np.mean(both**2)))
    if inside.standard_error is not None and around.standard_error is not None:
        error = math.hypot(inside.standard_error, around.standard_error)
    by_shell = _ratio(contrast, around.sd)
    return Contrast(structure, inside, around, contrast, error, by_shell, noise_ratio)


def _ratio(contrast: float, spread: float) -> float:
    return contrast / spread if spread > 0 else math.copysign(math.inf, contrast)
