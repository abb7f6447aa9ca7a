"""Two passes over one field, so that strong sources neither streak nor leave holes.

A bleed's or a calcification's phase is poor where it changes within voxels, and what is wrong
there spreads over the map along the dipole's cone. So a map is made twice: in the voxels whose
phase can be trusted alone, where such a source is a hole, and background to the rest; and in the
whole mask, where it is measured as well as may be. Each pass is background removal and inversion:

    sure = reliable(mask, magnitude, residual, voxel_size)
    passes = [(invert(*remove(field, m, ...)), ...) for m in (sure, mask)]
    chi, valid = merged(chi_of_sure, valid_of_sure, chi_of_mask, valid_of_mask)

Single-step methods take the place of both. Where the two masks are the same, so are the passes.
Stewart et al. 2022, doi:10.1002/mrm.29048.
"""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.mask.brain import bright
from gadgetron_qsm.mask.quality import trusted


def reliable(
    mask: Array,
    magnitude: Array,
    residual: Array,
    voxel_size: Sequence[float],
    *,
    quality: Array | None = None,
    largest_residual_rad: float = 0.3,
) -> Array:
    """Return the voxels of a brain mask for the first pass: with holes at strong sources.

    mask (z, y, x) bool, holes filled, for the second pass; magnitude (z, y, x) of the first echo,
    any unit; residual, quality and `largest_residual_rad` as in `trusted`. A voxel belongs to the
    first pass when it is at least half as bright as the brain nearby and its phase can be trusted.
    Returns bool (z, y, x). Raises ValueError when that leaves nothing.
    """
    tissue = mask & bright(magnitude, mask, voxel_size)
    good = trusted(residual, tissue, largest_residual_rad=largest_residual_rad, quality=quality)
    if not bool(good.any()):
        raise ValueError("no voxel of the mask has a phase that can be trusted")
    return good


def merged(
    chi_sure: Array, valid_sure: Array, chi_filled: Array, valid_filled: Array
) -> tuple[Array, Array]:
    """Fill what the first pass leaves out with the second: chi and where it holds.

    chi (z, y, x) and valid (z, y, x) bool of each pass: of the reliable voxels, and of the filled
    mask; chi in any one unit. A map of susceptibility is free to take a constant, so the second
    is moved to the mean of the first over what both hold. 0 outside.
    Raises ValueError when they hold no voxel in common.
    """
    xp = array_module(chi_sure)
    both = valid_sure & valid_filled
    if not bool(both.any()):
        raise ValueError("the two passes have no voxel in common")
    shift = float((chi_sure[both].astype(xp.float64) - chi_filled[both]).mean())
    second = xp.where(valid_filled, chi_filled + xp.float32(shift), 0)
    return xp.where(valid_sure, chi_sure, second), valid_sure | valid_filled
