"""An atlas laid on the chi of a scan, where iron shows nuclei better than magnitude does.

The atlas is painted as this scan should see it: its iron-rich nuclei with what they usually have,
all else, by the brightness of the template, with what the scan itself has there. Then correlation
says where the painting fits; it does not ask for the very values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.measure.atlas import Atlas
from gadgetron_qsm.measure.images import coarser, image_of
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan

# ppb over white and grey matter together, of grown-ups: rounded from the 2019 challenge's head
# (Marques et al. 2021, doi:10.1002/mrm.28716).
USUAL_PPB = {
    "caudate nucleus": 45.0,
    "putamen": 50.0,
    "globus pallidus": 130.0,
    "globus pallidus externus": 130.0,
    "globus pallidus internus": 130.0,
    "substantia nigra": 110.0,
    "substantia nigra pars compacta": 110.0,
    "substantia nigra pars reticulata": 110.0,
    "red nucleus": 90.0,
    "subthalamic nucleus": 90.0,
    "dentate nucleus": 120.0,
}
NEAR_MM = 8.0  # around the nuclei: what moves them
GRADES = 24  # of brightness of the template
MESH_MM = 40.0  # a finer one has points beside the nuclei that nothing holds, and folds
STEPS = 10  # more would follow the noise
AFFINE_STEPS, FIRST_STEP_MM, LAST_STEP_MM, RELAXATION = 40, 1.0, 0.01, 0.6


def refined_by_chi(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> sitk.Transform:
    """Return a transform (points of the scan to points of the template) that fits chi as well.

    From one that nearly fits: an affine step around the nuclei, then B-splines (Rueckert et al.
    1999, doi:10.1109/42.796284). It is returned as it came when the atlas has no
    nucleus that is known by its iron, or none of them lies in the scan's mask.
    """
    voxel_mm = min(scan.geometry.voxel_size)
    for mesh_mm in (None, MESH_MM):
        near = _near(atlas, scan, transform)
        if not near.any():
            return transform
        chi, where = _box(image_of(scan.chi, scan.geometry), image_of(near, scan.geometry))
        painted = coarser(image_of(painting(atlas, scan, transform), atlas.geometry), voxel_mm)
        step = _step(chi, where, painted, transform, mesh_mm)
        transform = sitk.CompositeTransform([transform, step])
    return transform


def painting(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> NDArray[np.float32]:
    """Return chi (ppb) on the template's grid as a scan should see it that lies so."""
    nuclei = _on_template(atlas)
    grade = grades(atlas.template)
    seen = resampled(grade, atlas.geometry, scan.geometry, transform=transform, nearest=True)
    iron = resampled(nuclei, atlas.geometry, scan.geometry, transform=transform, nearest=True)
    plain = scan.mask & (seen > 0) & (iron == 0)
    total = np.bincount(seen[plain], scan.chi[plain], GRADES + 1)
    mean = total / np.maximum(np.bincount(seen[plain], minlength=GRADES + 1), 1)
    return np.where(nuclei != 0, nuclei, mean[grade]).astype(np.float32)


def contrast(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> float | None:
    """Correlation of chi with the painting around the nuclei; None where there is none of them."""
    near = _near(atlas, scan, transform)
    if near.sum() < 2:
        return None
    painted = painting(atlas, scan, transform)
    there = resampled(painted, atlas.geometry, scan.geometry, transform=transform)
    return float(np.corrcoef(there[near], scan.chi[near])[0, 1])


def _on_template(atlas: Atlas) -> NDArray[np.float32]:
    """Return what the nuclei usually have (ppb) on the template's grid, 0 elsewhere."""
    values = np.zeros(atlas.labels.values.shape, np.float32)
    for structure in atlas.labels.structures:
        values[atlas.labels.mask(structure)] = USUAL_PPB.get(structure.name, 0.0)
    return resampled(values, atlas.labels_geometry, atlas.geometry, nearest=True)


def grades(template: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the brightness of the template in as many grades of equal size; 0 where it is 0."""
    limits = np.quantile(template[template > 0], np.linspace(0, 1, GRADES + 1))[1:-1]
    return np.where(template > 0, 1 + np.digitize(template, limits), 0).astype(np.uint8)


def _near(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> NDArray[np.bool_]:
    """Return where the scan is looked at: the nuclei as they lie now, and what is around them."""
    iron = resampled(
        _on_template(atlas), atlas.geometry, scan.geometry, transform=transform, nearest=True
    )
    if not iron.any():
        return np.zeros(scan.geometry.matrix, bool)
    away = scipy.ndimage.distance_transform_edt(iron == 0, sampling=scan.geometry.voxel_size)
    return (away <= NEAR_MM) & scan.mask


def _box(chi: sitk.Image, where: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """Return both cut to what is looked at."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(where)
    first, size = np.split(np.array(shape.GetBoundingBox(1)), 2)
    box = (size.tolist(), first.tolist())
    return sitk.RegionOfInterest(chi, *box), sitk.RegionOfInterest(where, *box)


def _step(
    chi: sitk.Image,
    where: sitk.Image,
    painted: sitk.Image,
    transform: sitk.Transform,
    mesh_mm: float | None,
) -> sitk.Transform:
    """Return what comes before `transform`: affine, or a B-spline with that mesh."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)  # several add up in any order: other bits at each run
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(where)
    found = _start(chi, mesh_mm)
    method.SetInitialTransform(found, True)
    if mesh_mm is None:
        method.SetOptimizerAsRegularStepGradientDescent(
            FIRST_STEP_MM, LAST_STEP_MM, AFFINE_STEPS, RELAXATION, gradientMagnitudeTolerance=1e-8
        )
        method.SetOptimizerScalesFromPhysicalShift()
    else:
        method.SetOptimizerAsLBFGSB(numberOfIterations=STEPS)
    # the composition of B-splines has no derivative here, that of an image has
    method.Execute(chi, sitk.Resample(painted, chi, transform, sitk.sitkLinear, 0.0))
    return found


def _start(chi: sitk.Image, mesh_mm: float | None) -> sitk.Transform:
    size = np.array(chi.GetSize())
    if mesh_mm is None:
        middle = chi.TransformContinuousIndexToPhysicalPoint(((size - 1) / 2).tolist())
        affine = sitk.AffineTransform(3)
        affine.SetCenter(middle)
        return affine
    meshes = np.maximum(np.rint(size * chi.GetSpacing() / mesh_mm), 1).astype(int)
    return sitk.BSplineTransformInitializer(chi, meshes.tolist(), 3)
