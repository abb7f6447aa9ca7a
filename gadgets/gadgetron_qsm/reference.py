"""What a susceptibility map is relative to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, to_numpy

WHOLE_BRAIN = "whole brain"


@dataclass(frozen=True)
class Reference:
    """The region that is 0 in a map, and what it reads relative to the whole brain.

    name; mean_ppb and sd_ppb of its susceptibility, before referencing, relative to the mean of
    the whole brain; volume_ml. Whichever region was taken, a reader can so turn the map back.
    """

    name: str
    mean_ppb: float
    sd_ppb: float
    volume_ml: float


def refer(
    chi: Array,
    brain: Array,
    voxel_size: tuple[float, float, float],
    *,
    region: Array | None = None,
    name: str = WHOLE_BRAIN,
) -> tuple[Array, Reference]:
    """Subtract the mean of a region from chi.

    chi (z, y, x) in ppm, any constant added; brain (z, y, x) bool, where it holds; region
    (z, y, x) bool, its part within the brain is taken (default the brain), and its name.
    voxel_size (z, y, x) in mm. Returns chi (z, y, x) in ppm, float32, 0 outside the brain, and
    the reference. Raises ValueError when the brain or the region in it is empty.
    Consensus: QSM Consensus Organization Committee 2024, doi:10.1002/mrm.30006.
    """
    xp = array_module(chi)
    zero = brain if region is None else brain & region
    whole = chi[brain].astype(xp.float64)
    part = whole if region is None else chi[zero].astype(xp.float64)
    if not whole.size:
        raise ValueError("the mask is empty")
    if not part.size:
        raise ValueError(f"no voxel of the reference region ({name}) lies in the mask")
    found = to_numpy(xp.stack([whole.mean(), part.mean(), part.std()]))
    mean_of_whole, mean, deviation = (float(value) for value in found)
    reference = Reference(
        name=name,
        mean_ppb=1000 * (mean - mean_of_whole),
        sd_ppb=1000 * deviation,
        volume_ml=part.size * float(np.prod(voxel_size)) / 1000,
    )
    return xp.where(brain, chi - np.float32(mean), 0).astype(xp.float32, copy=False), reference
