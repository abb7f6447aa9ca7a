"""Means of regions without what their voxels hold of the surroundings.

A nucleus of a few voxels across has most of them at its border, and its mean is drawn to what is
beyond. Where the border runs within the voxels is known of an atlas that was laid on the scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mask.morphology import bounding_box
from gadgetron_qsm.measure.grids import cropped, divided
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan

Values = NDArray[np.float32]

FEWEST = 4.0  # voxels that a structure must fill to be told from what is around
PARTS = 2  # of a voxel's side, in which borders run
MOST_SHARES = 100_000_000  # voxels times structures: 0.4 GB


def corrected(
    scan: Scan, labels: LabelMap, lay: Callable[[Geometry], LabelMap]
) -> dict[Structure, float]:
    """Return the mean of chi in each structure as if no voxel was part of anything else.

    labels: the structures on the scan's grid; `lay` lays them on the grid that it is given, here of
    voxels of half the side around them. Those of few voxels have none, see `unmixed`; nothing has
    one where labels fill so much that it would take too much memory.
    """
    around = bounding_box(labels.values > 0, scan.geometry.voxel_size, 0.0)
    box = tuple(
        slice(s.start, min(s.stop, n)) for s, n in zip(around, labels.values.shape, strict=True)
    )
    grid = cropped(scan.geometry, box)
    if math.prod(grid.matrix) * len(labels.structures) > MOST_SHARES:
        return {}
    filled = shares(lay(divided(grid, (PARTS,) * 3)), PARTS)
    return unmixed(scan.chi[box], filled, scan.mask[box])


def shares(labels: LabelMap, parts: int) -> dict[Structure, Values]:
    """Return what part (z, y, x) of each voxel every structure fills, of labels on a finer grid."""
    z, y, x = (n // parts for n in labels.values.shape)
    cut = labels.values.reshape(z, parts, y, parts, x, parts)
    return {
        structure: (cut == structure.value).mean(axis=(1, 3, 5), dtype=np.float32)
        for structure in labels.structures
    }


def unmixed(
    values: NDArray[Any], filled: Mapping[Structure, Values], valid: NDArray[np.bool_]
) -> dict[Structure, float]:
    """Return the mean of a map in each structure, as if no voxel was part of anything else.

    values, valid and shares (z, y, x) of the structures, as `shares` gives them. In the voxels that
    a structure has part in and their neighbours, the map is fitted by least squares as a mean of
    what it has in this structure, in the others, and in the rest, by their shares. Structures that
    fill less than FEWEST voxels where the map holds are left out.
    As for PET, where the point spread is a scanner's and not a voxel: Rousset et al. 1998, J Nucl
    Med 39:904-911.
    """
    rest = 1 - sum(filled.values(), np.zeros(values.shape, np.float32))
    found = {}
    for structure, share in filled.items():
        near = scipy.ndimage.binary_dilation(share > 0) & valid
        if share[near].sum() < FEWEST:
            continue
        others = [other[near] for name, other in filled.items() if name != structure]
        kept = [other for other in (*others, rest[near]) if other.sum() >= FEWEST]
        held = np.stack([share[near], *kept], axis=1).astype(np.float64)
        found[structure] = float(np.linalg.lstsq(held, values[near], rcond=None)[0][0])
    return found
