"""Susceptibility over what is usual in that part of the brain."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.mask.morphology import fill_holes
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.scan import Scan, Values

NUCLEUS_MM = 2.0  # as far as a nucleus may lie beside its label
MOST_IRON_PPB = 300.0  # of a nucleus: a label full of blood is not taken for one


def excess_of(scan: Scan, labels: LabelMap | None) -> tuple[Values, NDArray[np.bool_]]:
    """Return susceptibility (ppb) over what is usual there, and the mask without its holes.

    Usual is the median of the mask, and in and near a structure of `labels` that of the structure,
    if it is higher, as iron makes it. Holes of the mask take the value of the nearest voxel. Both
    are (z, y, x), the former 0 outside the latter.
    """
    inside = fill_holes(scan.mask)
    chi = scan.chi
    if (inside & ~scan.mask).any():
        nearest = scipy.ndimage.distance_transform_edt(
            ~scan.mask, scan.geometry.voxel_size, return_distances=False, return_indices=True
        )
        chi = chi[tuple(nearest)]
    usual = np.full(chi.shape, np.median(chi[scan.mask]), np.float32)
    if labels is not None:
        usual += _iron(chi - usual, scan, labels)
    return np.where(inside, chi - usual, 0).astype(np.float32), inside


def _iron(chi: Values, scan: Scan, labels: LabelMap) -> Values:
    """Median of each labelled structure in it and near it (ppb), as far as it may be iron's."""
    away, nearest = scipy.ndimage.distance_transform_edt(
        labels.values == 0, scan.geometry.voxel_size, return_indices=True
    )
    values = np.where(away <= NUCLEUS_MM, labels.values[tuple(nearest)], 0)
    iron = np.zeros(chi.shape, np.float32)
    for structure in labels.structures:
        own = labels.mask(structure) & scan.mask
        if own.any():
            iron[values == structure.value] = np.clip(np.median(chi[own]), 0, MOST_IRON_PPB)
    return iron
