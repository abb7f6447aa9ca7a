"""One volume out of one image, or out of the slices that it came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import Image, Record

EVEN = 0.05  # of the spacing: how much the gaps between slices may differ
TOGETHER_MM = 1e-3
SKEW = 2e-3  # of the stack's length, over EVEN: what directions that were rounded make of it


class Stack(NamedTuple):
    """data (channel, z, y, x); the image that lies at voxel z//2; mm between slices, if known."""

    data: np.ndarray
    image: Image
    spacing_mm: float | None


def stack(images: list[Image], what: str, expected_slices: int) -> Stack:
    """Put the images of one echo together, ordered along slice_dir.

    A volume is taken as it is. Slices are ordered by position, or by slice index when all have the
    same position. Raises QsmError, with `what` the images are, when slices are missing or double.
    """
    if len(images) == 1 and (images[0].data.shape[1] > 1 or expected_slices == 1):
        volume = Stack(images[0].data, images[0], None)
    elif images[0].data.shape[1] > 1:
        raise QsmError(f"{len(images)} {what} came; send one average, set and slab")
    else:
        volume = stack_slices(images, what, expected_slices)
    if not np.isfinite(volume.data).all():
        raise QsmError(f"the {what} have values that are not finite (NaN or infinity)")
    return volume


def stack_slices(images: Sequence[Image], what: str, expected: int) -> Stack:
    """Put slices together, ordered along slice_dir; raise QsmError as `stack` does."""
    if len(images) < expected:
        raise QsmError(f"{expected - len(images)} of {expected} slices are missing: {what}")
    heads = [image.head for image in images]
    order, spacing_mm = slice_order(heads, [int(head["slice"]) for head in heads], what)
    ordered = [images[i] for i in order]
    data = np.concatenate([image.data for image in ordered], axis=1)
    middle = ordered[len(ordered) // 2]
    if spacing_mm is None:
        spacing_mm = float(middle.head["field_of_view"][2])
    return Stack(data, middle, spacing_mm)


def slice_order(
    heads: Sequence[Record], numbers: Sequence[int], what: str
) -> tuple[np.ndarray, float | None]:
    """Return the order of slices along slice_dir, and mm between them, None when nobody tells.

    Slices are ordered by position, or by their numbers when all have the same position.
    Raises QsmError, with `what` they are, when some are missing, double or not evenly spaced.
    """
    if len(heads) == 1:
        return np.zeros(1, int), None
    places = np.array([np.dot(head["position"], head["slice_dir"]) for head in heads])
    if np.ptp(places) < TOGETHER_MM:
        places = np.array(numbers, float)
        order = np.argsort(places)
        _even_gap(places[order], what)
        return order, None
    order = np.argsort(places)
    gap = _even_gap(places[order], what)
    _require_straight(heads, gap, what)
    return order, gap


def _require_straight(heads: Sequence[Record], gap: float, what: str) -> None:
    """Raise QsmError for slices that are shifted in their plane: they make no grid of voxels."""
    positions = np.array([head["position"] for head in heads], np.float64)
    normal = np.array(heads[0]["slice_dir"], np.float64)
    aside = positions - np.outer(positions @ normal, normal)
    shift_mm = float(np.ptp(aside, axis=0).max())
    if shift_mm > EVEN * gap + SKEW * gap * (len(heads) - 1):
        raise QsmError(f"slices are shifted by {shift_mm:.3g} mm in their plane: {what}")


def _even_gap(places: np.ndarray, what: str) -> float:
    gaps = np.diff(places)
    gap = float(np.median(gaps))
    if gaps.min() < max(gap / 2, TOGETHER_MM):
        raise QsmError(f"two slices are in one place; send one average and set: {what}")
    missing = int(np.sum(np.round(gaps / gap) - 1))
    if missing:
        raise QsmError(f"{missing} slices are missing between the first and the last: {what}")
    if np.ptp(gaps) > EVEN * gap:
        raise QsmError(
            f"slices are not evenly spaced ({gaps.min():g} to {gaps.max():g} mm): {what}"
        )
    return gap
