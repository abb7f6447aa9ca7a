"""How well an atlas lies on a scan, in numbers that do not need the truth."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.measure.atlas import Atlas
from gadgetron_qsm.measure.images import array_of, image_of
from gadgetron_qsm.measure.iron import contrast, grades
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan


def fit(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> dict[str, float]:
    """Measure how an atlas lies on a scan by a transform (points of the scan to the template's).

    overlap: Dice coefficient of the template's brain, as far as it is in the field of view, with
    the mask. explained: the part of the magnitude's variance in the mask that grades of the
    template's brightness explain (correlation ratio: Roche et al. 1998, doi:10.1007/BFb0056301).
    contrast: the correlation of chi with the iron of the atlas around its nuclei, left out when it
    has none. smallest_jacobian, largest_jacobian: local ratios of volume in its structures.
    """
    measured = {
        "overlap": _overlap(atlas, scan, transform),
        "explained": _explained(atlas, scan, transform),
    }
    of_iron = contrast(atlas, scan, transform)
    if of_iron is not None:
        measured["contrast"] = of_iron
    least, most = _jacobians(atlas, scan, transform)
    return {**measured, "smallest_jacobian": least, "largest_jacobian": most}


def _overlap(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> float:
    brain = scipy.ndimage.binary_fill_holes(atlas.template > 0)
    there = resampled(brain, atlas.geometry, scan.geometry, transform=transform, nearest=True) > 0
    both = (there & scan.mask).sum()
    return float(2 * both / (there.sum() + scan.mask.sum()))


def _explained(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> float:
    grade = grades(atlas.template)
    seen = resampled(grade, atlas.geometry, scan.geometry, transform=transform, nearest=True)
    values, grade = scan.magnitude[scan.mask].astype(np.float64), seen[scan.mask]
    count = np.bincount(grade)
    mean = np.bincount(grade, values) / np.maximum(count, 1)
    return float((count * (mean - values.mean()) ** 2).sum() / (values.size * values.var()))


def _jacobians(atlas: Atlas, scan: Scan, transform: sitk.Transform) -> tuple[float, float]:
    """Return the least and the largest determinant where structures lie; (1, 1) without any."""
    grid = image_of(scan.mask, scan.geometry)
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        grid.GetSize(),
        grid.GetOrigin(),
        grid.GetSpacing(),
        grid.GetDirection(),
    )
    ratio = _ratio_of_volumes(field)
    labels = image_of(atlas.labels.values > 0, atlas.labels_geometry)
    where = array_of(sitk.Resample(labels, grid, transform, sitk.sitkNearestNeighbor, 0)) > 0
    return (float(ratio[where].min()), float(ratio[where].max())) if where.any() else (1.0, 1.0)


def _ratio_of_volumes(field: sitk.Image) -> NDArray[np.float64]:
    """Return the determinant (z, y, x) of a field of displacements, whichever way its grid lies.

    SimpleITK's own takes the axes of the grid for those of the patient.
    """
    axes = np.reshape(field.GetDirection(), (3, 3))
    along = np.gradient(array_of(field), *field.GetSpacing()[::-1], axis=(0, 1, 2))
    # displacement (last but one) along the axes x, y, z of the grid (last), then of the patient
    slopes = np.stack(along[::-1], axis=-1) @ axes.T
    ratio: NDArray[np.float64] = np.linalg.det(np.eye(3) + slopes)
    return ratio
