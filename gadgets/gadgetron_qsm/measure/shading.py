"""Magnitude without the shading of the coils, which stay where they are when the head turns."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.measure.scan import Scan, Values

ORDER = 2  # of the polynomial of place that the logarithm of shading is taken for
DARKEST = 0.05  # of the median: below, a logarithm says more of noise than of coils
RADIUS_MM = 70.0  # of a head, so that powers of places are of the order of 1


def unshaded(scan: Scan) -> Values:
    """Return the magnitude (z, y, x) over what coils make of it, fitted in the mask.

    The fit takes the broad contrast of the brain along, which is the same at each visit. Beyond
    the mask shading is taken for no more or less than the most and the least in it.
    """
    voxels = np.argwhere(scan.mask)
    inside = scan.magnitude[scan.mask]
    least = max(DARKEST * float(np.median(inside)), 1e-30)
    basis = _powers(voxels, scan)
    # einsum and not BLAS, which would add up otherwise with more cores
    normal = np.einsum("vi,vj->ij", basis, basis)
    right = np.einsum("vi,v->i", basis, np.log(np.maximum(inside, least)))
    weights = np.linalg.lstsq(normal, right, rcond=None)[0]
    fitted = basis @ weights
    bounds = fitted.min(), fitted.max()
    plane = np.moveaxis(np.indices(scan.mask.shape[1:]), 0, -1).reshape(-1, 2)
    flat = np.empty_like(scan.magnitude)
    for z, values in enumerate(scan.magnitude):
        at = np.insert(plane, 0, z, axis=1)
        shading = np.exp(np.clip(_powers(at, scan) @ weights, *bounds))
        flat[z] = values / shading.reshape(values.shape)
    return flat


def _powers(voxels: NDArray[np.intp], scan: Scan) -> NDArray[np.float64]:
    """Return the products of places up to ORDER, (voxel, product); voxels (voxel, zyx)."""
    middle = (np.array(scan.geometry.matrix) - 1) / 2
    places = (voxels - middle) * np.array(scan.geometry.voxel_size) / RADIUS_MM
    products = [np.ones(len(places))]
    for order in range(1, ORDER + 1):
        chosen = combinations_with_replacement(range(3), order)
        products += [np.prod(places[:, axes], axis=1) for axes in chosen]
    return np.stack(products, axis=1)
