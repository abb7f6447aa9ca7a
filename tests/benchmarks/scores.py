"""How far a map is from the truth, in the measures that the field compares methods by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage

HFEN_SIGMA = 1.5  # voxels
XSIM_C1, XSIM_C2, XSIM_SIGMA = 0.01**2, 0.001**2, 1.5  # for ppm; voxels
NUCLEI = range(1, 8)


def deeper_than(mask: np.ndarray, voxel_size: Sequence[float], depth_mm: float) -> np.ndarray:
    """Voxels of the mask whose distance to the nearest voxel outside exceeds `depth_mm`."""
    padded = np.pad(mask, 1)
    depth = scipy.ndimage.distance_transform_edt(padded, sampling=list(voxel_size))
    return depth[1:-1, 1:-1, 1:-1] > depth_mm


def filled(measured: np.ndarray, valid: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Measured values relative to their mean over the region; voxels not measured take that."""
    held = valid & region
    return np.where(held, measured - measured[held].mean(dtype=np.float64), 0)


def nrmse(measured: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """Root mean square error in percent of the truth's, both demeaned over the region."""
    a, b = (x[region].astype(np.float64) for x in (measured, truth))
    a, b = a - a.mean(), b - b.mean()
    return float(100 * np.linalg.norm(a - b) / np.linalg.norm(b))


def hfen(measured: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """NRMSE of the Laplacians of Gaussian, %. Ravishankar 2011, doi:10.1109/TMI.2010.2090538."""
    edges = [
        scipy.ndimage.gaussian_laplace(np.where(region, x - x[region].mean(), 0), HFEN_SIGMA)
        for x in (measured, truth)
    ]
    a, b = (x[region].astype(np.float64) for x in edges)
    return float(100 * np.linalg.norm(a - b) / np.linalg.norm(b))


def xsim(measured: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """Structural similarity, constants for ppm; 1 is best. Milovic 2024, doi:10.1002/mrm.30271."""

    def smooth(x: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(x, XSIM_SIGMA, truncate=3)

    a, b = (np.where(region, x - x[region].mean(), 0).astype(np.float64) for x in (measured, truth))
    ma, mb = smooth(a), smooth(b)
    va, vb, cov = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
    quality = (2 * ma * mb + XSIM_C1) * (2 * cov + XSIM_C2)
    quality /= (ma**2 + mb**2 + XSIM_C1) * (va + vb + XSIM_C2)
    return float(quality[region].mean())


def nuclei(
    measured: np.ndarray, truth: np.ndarray, labels: np.ndarray, region: np.ndarray
) -> tuple[float, float]:
    """Slope and root mean square error (ppb) of the deep nuclei's means, of maps in ppm."""
    a, b = (x - x[region].mean() for x in (measured, truth))
    present = [labels == n for n in NUCLEI if (labels == n).any()]
    found, true = (np.array([x[part].mean() for part in present]) for x in (a, b))
    away = true - true.mean()
    slope = float(away @ found / (away @ away))
    return slope, float(1000 * np.sqrt(np.mean((found - true) ** 2)))
