"""Means of regions without what their voxels hold of the surroundings.

A nucleus of a few voxels across has most of them at its border, and its mean is drawn to what is
beyond. Where the border runs within the voxels is known of an atlas that was laid on the scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap, Structure

Values = NDArray[np.float32]

FEWEST = 4.0  # voxels that a structure must fill to be told from what is around


def finer(geometry: Geometry, parts: int) -> Geometry:
    """Return the grid that cuts every voxel into so many parts a side."""
    matrix = np.array(geometry.matrix) * parts
    # where the finer grid's middle voxel lies, in voxels of the coarse one
    middle = (matrix // 2 - (parts - 1) / 2) / parts
    x, y, z = (geometry.affine @ [*middle[::-1], 1])[:3].tolist()
    sizes = (np.array(geometry.voxel_size) / parts).tolist()
    return replace(
        geometry, matrix=tuple(matrix.tolist()), voxel_size=tuple(sizes), position=(x, y, z)
    )


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
