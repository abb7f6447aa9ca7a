"""A template brain laid on the magnitude of a scan: turn and shift, then stretch and shear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.images import array_of, coarser, image_of
from gadgetron_qsm.measure.scan import Scan

BINS = 32
# Up and down the body (mm): the brain of a slab has its middle elsewhere than the template's. Nods
# (degrees): beyond 20 the fit does not find the way from an upright head.
STARTS = (
    (0.0, 0.0),
    (0.0, -20.0),
    (0.0, 20.0),
    (-30.0, 0.0),
    (30.0, 0.0),
    (-60.0, 0.0),
    (60.0, 0.0),
)
SHRINKING = (4, 2)
RIGID_SMOOTHING_MM, AFFINE_SMOOTHING_MM = (6.0, 3.0), (4.0, 2.0)
STEPS, FIRST_STEP_MM, LAST_STEP_MM, RELAXATION = 150, 2.0, 0.01, 0.6


def aligned(scan: Scan, template: NDArray[np.float32], geometry: Geometry) -> sitk.AffineTransform:
    """Find the affine map from points of the scan to points of the template (LPS, mm).

    template (z, y, x) is 0 outside its brain. Only what the scan's mask holds is looked at. Mutual
    information (Mattes et al. 2003, doi:10.1109/TMI.2003.809072), coarse to fine; a rigid map is
    found first, from several places along the body and several nods. The same input gives the
    same bits.
    Raises RuntimeError when the two do not overlap.
    """
    inside = np.where(scan.mask, scan.magnitude, 0).astype(np.float32)
    still, where = (image_of(data, scan.geometry) for data in (inside, scan.mask))
    moving = coarser(image_of(template, geometry), min(scan.geometry.voxel_size))
    starts = [_rigid(still, where, moving, *start) for start in STARTS]
    rigid, _ = min(starts, key=lambda found: found[1])
    start = sitk.AffineTransform(3)
    start.SetCenter(rigid.GetCenter())
    start.SetMatrix(rigid.GetMatrix())
    start.SetTranslation(rigid.GetTranslation())
    method = _method(where, SHRINKING, AFFINE_SMOOTHING_MM)
    method.SetInitialTransform(start, True)
    method.Execute(still, moving)
    return start


def _rigid(
    still: sitk.Image, where: sitk.Image, moving: sitk.Image, up_mm: float, nod_deg: float
) -> tuple[sitk.Euler3DTransform, float]:
    """Return a turn and shift, from the middles of both brains on, and how badly it fits.

    Infinitely badly where the two do not overlap.
    """
    middle, its_middle = _middle(where), _middle(moving > 0)
    found = sitk.Euler3DTransform(middle.tolist())
    found.SetRotation(np.deg2rad(nod_deg), 0.0, 0.0)
    found.SetTranslation((its_middle - middle + [0, 0, up_mm]).tolist())
    method = _method(where, SHRINKING[:1], RIGID_SMOOTHING_MM[:1])
    method.SetInitialTransform(found, True)
    try:
        method.Execute(still, moving)
    except RuntimeError:
        return found, np.inf
    return found, method.GetMetricValue()


def _middle(brain: sitk.Image) -> NDArray[np.float64]:
    """Return the point in the middle of what is not 0, LPS in mm."""
    z, y, x = (float(part.mean()) for part in np.nonzero(array_of(brain)))
    return np.array(brain.TransformContinuousIndexToPhysicalPoint((x, y, z)))


def _method(
    where: sitk.Image, shrinking: Sequence[int], smoothing_mm: Sequence[float]
) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)  # several add up in any order: other bits at each run
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(where)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        FIRST_STEP_MM, LAST_STEP_MM, STEPS, RELAXATION, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(shrinking))
    method.SetSmoothingSigmasPerLevel(list(smoothing_mm))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method
