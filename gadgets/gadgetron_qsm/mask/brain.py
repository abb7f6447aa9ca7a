"""Brain mask from magnitude and phase quality."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.distance import depth
from gadgetron_qsm.mask.bet import bet
from gadgetron_qsm.mask.morphology import (
    bounding_box,
    close,
    dilate,
    erode,
    fill_holes,
    largest_piece,
)
from gadgetron_qsm.mask.quality import trusted
from gadgetron_qsm.mask.shading import head, local_brightness

RIM_MM = 4.0  # of the surface, where bone may be: no measure of how bright the brain is
BRAIN_MM = 15.0  # standard deviation of the Gaussian that measures it
BRIGHT = 0.5  # of the brain's brightness nearby: where bone fills half a voxel


def brain_mask(
    magnitude: Array,
    residual: Array,
    voxel_size: Sequence[float],
    *,
    quality: Array | None = None,
    opening_mm: float = 12.0,
    closing_mm: float = 2.0,
    largest_residual_rad: float = 0.3,
    erosion_mm: float = 0.0,
) -> Array:
    """Find the brain: bright, its phase explained by a field, thick, in one piece, without holes.

    magnitude (z, y, x), any unit; residual (z, y, x) of the echo fit in rad and `quality`, if
    given, of ROMEO, as in `trusted`; voxel_size (z, y, x) in mm.
    Steps: magnitude above half of Otsu's threshold (coils shade the middle of the head), phase
    that can be trusted to `largest_residual_rad`; erosion by `opening_mm`, which cuts the bridges
    to scalp, eyes and neck, or by less when nothing is that thick; the largest piece, grown back
    within what was kept and by a voxel more, to the rim; closing by `closing_mm`; holes filled;
    erosion by `erosion_mm`.
    Returns bool (z, y, x). Raises ValueError when nothing is left.
    """
    tissue = head(magnitude)
    if not bool(tissue.any()):
        raise ValueError("no brain found: the magnitude is the same everywhere")
    good = trusted(residual, tissue, largest_residual_rad=largest_residual_rad, quality=quality)
    opened = _opened(good, voxel_size, opening_mm)
    return _finished(fill_holes(close(opened, voxel_size, closing_mm)), voxel_size, erosion_mm)


def bet_mask(
    magnitude: Array,
    residual: Array,
    voxel_size: Sequence[float],
    *,
    quality: Array | None = None,
    fractional_threshold: float = 0.5,
    opening_mm: float = 3.0,
    closing_mm: float = 2.0,
    largest_residual_rad: float = 0.3,
    erosion_mm: float = 0.0,
) -> Array:
    """Find the brain: what BET extracts, less what is dark or has no trustworthy phase at its rim.

    Arguments as in `brain_mask`; `fractional_threshold` as in `bet`. Steps: BET; in it, voxels at
    least half as bright as the brain nearby, whose phase can be trusted; opening by `opening_mm`;
    the largest piece, closed by `closing_mm` where it is bright, as a rim of bone, whose field is
    no tissue's, would spoil the whole map; holes filled: veins, bleeds and calcifications in the
    brain stay in, however bad their phase; erosion by `erosion_mm`.
    Returns bool (z, y, x). Raises ValueError when nothing is left.
    BET and phase quality together: QSM Consensus Organization Committee 2024,
    doi:10.1002/mrm.30006.
    """
    whole = bet(magnitude, voxel_size, fractional_threshold=fractional_threshold)
    if not bool(whole.any()):
        raise ValueError("no brain found: BET's surface holds no voxel")
    box = bounding_box(whole, voxel_size, closing_mm)  # all that follows happens in there
    brain, quality = whole[box], None if quality is None else quality[box]
    tissue = brain & bright(magnitude[box], brain, voxel_size)
    if not bool(tissue.any()):
        raise ValueError("no brain found: BET's surface holds nothing bright")
    good = trusted(
        residual[box], tissue, largest_residual_rad=largest_residual_rad, quality=quality
    )
    opened = _opened(good, voxel_size, opening_mm)
    closed = opened | (close(opened, voxel_size, closing_mm) & tissue)
    mask = array_module(magnitude).zeros_like(whole)
    mask[box] = largest_piece(fill_holes(closed))
    return _finished(mask, voxel_size, erosion_mm)


def bright(magnitude: Array, brain: Array, voxel_size: Sequence[float]) -> Array:
    """Tell where the magnitude (z, y, x) is at least half of the brain's nearby."""
    deep = erode(brain, voxel_size, RIM_MM) & head(magnitude)
    sure = deep if bool(deep.any()) else brain
    return magnitude > BRIGHT * local_brightness(magnitude, sure, voxel_size, BRAIN_MM)


def _opened(good: Array, voxel_size: Sequence[float], opening_mm: float) -> Array:
    """Largest piece after erosion, grown back and a voxel more, to the rim, within `good`."""
    deep = depth(good, voxel_size, 2 * opening_mm)
    thickest = float(deep.max())
    if not thickest > 0:
        raise ValueError("no brain found: nothing is bright with a phase that a field explains")
    opening = min(opening_mm, thickest / 2)
    core = largest_piece(deep > opening)
    return dilate(core, voxel_size, opening + max(voxel_size)) & good


def _finished(mask: Array, voxel_size: Sequence[float], erosion_mm: float) -> Array:
    eroded = erode(mask, voxel_size, erosion_mm) if erosion_mm > 0 else mask
    if not bool(eroded.any()):
        raise ValueError(f"erosion by {erosion_mm:g} mm leaves nothing of the brain mask")
    return eroded
