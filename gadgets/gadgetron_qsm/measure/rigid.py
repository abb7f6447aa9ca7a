"""Where one head lies in two scans: rotation and shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.images import array_of, coarser, image_of
from gadgetron_qsm.measure.resample import matrix_of, resampled
from gadgetron_qsm.measure.rigid_refinement import refined

WORKING_MM = 2.0  # voxels of the images that are laid on each other: a tenth of one is enough
SHRINKING, SMOOTHING_MM = (4, 2), (6.0, 3.0)
BINS = 48
STEPS, FIRST_STEP_MM, LAST_STEP_MM = 200, 2.0, 0.02


@dataclass(frozen=True, eq=False)
class Rigid:
    """A rotation and a shift: `matrix` (4 x 4) takes points of the fixed to points of the moving
    image, both LPS in mm.

    angle_deg is that of the rotation; shift_mm how far the middle of the fixed image moves; quality
    the correlation of the two images once they lie on each other, 1 at best.
    """

    matrix: NDArray[np.float64]
    angle_deg: float
    shift_mm: float
    quality: float


def register_rigid(
    fixed: NDArray[Any],
    fixed_geometry: Geometry,
    moving: NDArray[Any],
    moving_geometry: Geometry,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> Rigid:
    """Find how the head of one scan lies in another.

    fixed and moving (z, y, x): magnitude images of one head, of any two grids and gains; mask:
    where the fixed one is looked at, None is everywhere. Mutual information (Mattes et al. 2003,
    doi:10.1109/TMI.2003.809072) is climbed from the centres of mass, coarse to fine; least squares
    end it. The same input gives the same bits, on any number of cores.
    Raises QsmError when an image is empty or the two do not come to lie on each other.
    """
    for name, data in (("first", fixed), ("second", moving)):
        if not np.ptp(data) > 0:
            raise QsmError(f"the magnitude of the {name} scan is empty: nothing to register")
    still = coarser(image_of(fixed, fixed_geometry), WORKING_MM)
    other = coarser(image_of(moving, moving_geometry), WORKING_MM)
    where = _where(still, fixed_geometry, mask)
    method = _method(still, other)
    method.SetMetricFixedMask(where)
    try:
        found = matrix_of(method.Execute(still, other))
    except RuntimeError as error:
        raise QsmError("the two scans cannot be laid on each other; do they overlap?") from error
    matrix = refined(still, other, found, array_of(where) > 0)
    seen = resampled(moving, moving_geometry, fixed_geometry, transform=matrix)
    inside = (seen != 0) if mask is None else mask & (seen != 0)
    return _rigid(matrix, fixed_geometry, _correlation(fixed, seen, inside))


def _where(still: sitk.Image, geometry: Geometry, mask: NDArray[np.bool_] | None) -> sitk.Image:
    given = np.ones(geometry.matrix, bool) if mask is None else mask
    return sitk.Resample(
        image_of(given, geometry), still, sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )


def _method(still: sitk.Image, other: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)  # several add up in any order: other bits at each run
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        FIRST_STEP_MM,
        LAST_STEP_MM,
        STEPS,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINKING)
    method.SetSmoothingSigmasPerLevel(SMOOTHING_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.CenteredTransformInitializer(
        still, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method.SetInitialTransform(start)
    return method


def _rigid(matrix: NDArray[np.float64], geometry: Geometry, quality: float) -> Rigid:
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    middle = np.array([*geometry.position, 1.0])
    return Rigid(
        matrix=matrix,
        angle_deg=float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))),
        shift_mm=float(np.linalg.norm((matrix @ middle - middle)[:3])),
        quality=quality,
    )


def _correlation(a: NDArray[Any], b: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Return Pearson's coefficient over some voxels; 0 when there are none, or no contrast."""
    x, y = (data[inside].astype(np.float64) for data in (a, b))
    if x.size < 2:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norm) if norm > 0 else 0.0
