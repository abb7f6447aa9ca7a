"""The numbers of a map in a region, and how far noise makes their mean uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.grid import filtered, good_size, pad_centre, spread

REACH = 4.0  # standard deviations of a Gaussian beyond which it is nothing
TAPER_MM = 10.0  # measured on heads: takes less than a fifth off what the largest nuclei have
PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Statistics:
    """Numbers of a map in a region, in the map's unit.

    `sd` is that of all its voxels (N). Volume and number of voxels are those that were measured,
    which `fraction_inside` is the share of. `standard_error` is how far noise alone lets the mean
    vary from scan to scan, None when the noise is not known.
    """

    mean: float
    sd: float
    median: float
    p05: float
    p25: float
    p75: float
    p95: float
    minimum: float
    maximum: float
    volume_mm3: float
    voxels: int
    fraction_inside: float
    standard_error: float | None = None


def statistics(
    values: NDArray[Any],
    region: NDArray[np.bool_],
    voxel_size: Sequence[float],
    *,
    noise: NDArray[Any] | None = None,
    correlation_mm: float | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> Statistics:
    """Measure a map in a region.

    values and region (z, y, x), the region bool; voxel_size (z, y, x) in mm. Only voxels where the
    map holds, `valid` (z, y, x) bool and a finite value, count; also in the volume.
    noise and correlation_mm as in `standard_error`.
    Raises ValueError when the shapes differ or no voxel is left.
    """
    if values.shape != region.shape:
        raise ValueError(f"the map is {values.shape}, the region {region.shape}")
    counted = region & np.isfinite(values)
    if valid is not None:
        counted &= valid
    inside = values[counted].astype(np.float64)
    if not inside.size:
        raise ValueError("the region has no voxel with a finite value where the map holds")
    error = None if noise is None else standard_error(noise, counted, voxel_size, correlation_mm)
    p05, p25, median, p75, p95 = np.percentile(inside, PERCENTILES).tolist()
    return Statistics(
        mean=float(inside.mean()),
        sd=float(inside.std()),
        median=median,
        p05=p05,
        p25=p25,
        p75=p75,
        p95=p95,
        minimum=float(inside.min()),
        maximum=float(inside.max()),
        volume_mm3=inside.size * float(np.prod(voxel_size)),
        voxels=int(inside.size),
        fraction_inside=inside.size / int(region.sum()),
        standard_error=error,
    )


def standard_error(
    noise: NDArray[Any],
    region: NDArray[np.bool_],
    voxel_size: Sequence[float],
    correlation_mm: float | None = None,
) -> float:
    """Return the standard deviation that noise gives the mean over a region.

    The root of the sum of the covariance over all pairs of voxels, over their number; neighbours
    share their noise, so that it is more than for as many independent voxels.
    noise (sample, z, y, x): samples of the noise itself, as measure.noise makes them, whose
    products are the covariance, of pairs TAPER_MM apart weighed by exp(-1/2): what noise shares
    farther away is little, and few samples tell nothing of it.
    Or noise (z, y, x): the standard deviation in each voxel, when that is all that is known. Voxels
    r mm apart are then taken to correlate by exp(-r^2 / (2 correlation_mm^2)); by default that is
    the geometric mean of the voxel's sides; 0 makes them independent. After total variation the
    default gives 0.6 of the error in the smoothest nuclei and up to 3 times it in the smallest,
    where noise is that of edges. Both ways beside repeated scans: tests/benchmarks/noise.py.
    region (z, y, x) bool with at least a voxel; voxel_size (z, y, x) in mm.
    """
    length = TAPER_MM
    if noise.ndim == 3:
        side = float(np.prod(voxel_size)) ** (1 / 3)
        noise, length = noise[np.newaxis], side if correlation_mm is None else correlation_mm
    box = scipy.ndimage.find_objects(region.astype(np.uint8))[0]
    within = [np.where(region[box], sample[box], 0) for sample in noise]
    pairs = [_weighed_pairs(values, voxel_size, length) for values in within]
    return float(np.sqrt(np.mean(pairs))) / int(region.sum())


def _weighed_pairs(values: NDArray[Any], voxel_size: Sequence[float], length_mm: float) -> float:
    """Sum the products of all pairs of values (z, y, x), weighed by a Gaussian of the distance."""
    reach = [int(np.ceil(REACH * length_mm / size)) for size in voxel_size]
    shape = [good_size(n + min(n, r)) for n, r in zip(values.shape, reach, strict=True)]
    padded = pad_centre(values.astype(np.float32), shape)
    kernel = np.ones((1, 1, 1), np.float32)
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        distance = np.fft.fftfreq(n, 1 / n) * size
        along = np.exp(-(distance**2) / (2 * length_mm**2)) if length_mm > 0 else distance == 0
        transform = np.fft.rfft(along) if axis == 2 else np.fft.fft(along)
        kernel = kernel * spread(transform.real, axis, like=padded)
    total = float((padded * filtered(padded, kernel)).sum(dtype=np.float64))
    return max(total, 0.0)  # it is, but for rounding
