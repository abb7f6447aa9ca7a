"""Structures of an atlas on a scan, with how well they lie; refused where that is badly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.alignment import aligned
from gadgetron_qsm.measure.atlas import Atlas
from gadgetron_qsm.measure.fit import fit
from gadgetron_qsm.measure.iron import refined_by_chi
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.scan_grid import coarse_scan

WORKING_MM = 2.0  # voxels that places are found with
# Well away from both kinds of rows of tests/benchmarks/regions.py; coils that shade the magnitude
# leave less of it to be explained.
LEAST = {"overlap": 0.75, "explained": 0.03, "contrast": 0.25, "smallest_jacobian": 0.2}
MOST = {"largest_jacobian": 5.0}
MEANING = {
    "overlap": "Dice coefficient of the brain of the template and the mask",
    "explained": "part of the magnitude's variance that the template explains",
    "contrast": "correlation of chi with the iron of the atlas around its nuclei",
    "smallest_jacobian": "least local ratio of volumes, template to scan,",
    "largest_jacobian": "largest local ratio of volumes, template to scan,",
}
ADVICE = (
    "the regions would be wrong. Look at the mask, at the orientation of the scan and at the "
    "atlas, or supply a label map"
)


@dataclass(frozen=True, eq=False)
class Placed:
    """Structures of an atlas where they lie in a scan.

    labels: on the scan's grid; of a structure that is not in its field of view there are no voxels,
    and it is left out. `quality`: numbers by the names in MEANING. `transform` takes points of the
    scan to points of the atlas (LPS, mm).
    """

    labels: LabelMap
    quality: dict[str, float]
    transform: sitk.Transform


def place(atlas: Atlas, scan: Scan) -> Placed:
    """Lay an atlas on a scan: the magnitude first, then chi, which sees the nuclei best.

    The same input gives the same bits. Raises QsmError when a number of its quality is worse than
    LEAST or MOST allow, or no structure comes to lie in the scan.
    """
    coarse = coarse_scan(scan, WORKING_MM)
    _check(coarse)
    try:
        start = aligned(coarse, atlas.template.astype(np.float32), atlas.geometry)
        transform = refined_by_chi(atlas, coarse, start)
    except RuntimeError as error:
        raise QsmError(f"the atlas cannot be laid on the scan; {ADVICE}") from error
    quality = fit(atlas, coarse, transform)
    _refuse(quality)
    labels = laid(atlas, scan.geometry, transform)
    if not labels.structures:
        raise QsmError("no structure of the atlas lies in the scan: is it in the field of view?")
    return Placed(labels, quality, transform)


def laid(atlas: Atlas, geometry: Geometry, transform: sitk.Transform) -> LabelMap:
    """Return what has a voxel on a grid, whose points `transform` takes to the atlas's."""
    values: NDArray[np.integer] = resampled(
        atlas.labels.values, atlas.labels_geometry, geometry, transform=transform, nearest=True
    )
    present = set(np.unique(values).tolist())
    return LabelMap(values, tuple(s for s in atlas.labels.structures if s.value in present))


def _check(scan: Scan) -> None:
    if not scan.mask.any():
        raise QsmError("the mask is empty: there is no brain to lay the atlas on")
    if not np.ptp(scan.magnitude[scan.mask]) > 0:
        raise QsmError("the magnitude has no contrast: there is nothing to lay the atlas on")


def _refuse(quality: dict[str, float]) -> None:
    """Raise QsmError for the first number that is too bad."""
    for name, value in quality.items():
        least, most = LEAST.get(name, -np.inf), MOST.get(name, np.inf)
        if not least <= value <= most:
            limit = f"at least {least:g}" if name in LEAST else f"at most {most:g}"
            raise QsmError(
                f"the atlas does not lie on the scan: the {MEANING[name]} is {value:.2f}, "
                f"it must be {limit}; {ADVICE}"
            )
