"""An atlas of the site: a template brain, and where its structures are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.label_files import check_sides, read_labels
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.lattice import laid_on
from gadgetron_qsm.measure.name_tables import is_names, names_beside
from gadgetron_qsm.measure.segments import read_segments
from gadgetron_qsm.nifti import read_volume

IMAGES = (".nii", ".nii.gz")
RULE = (
    "an atlas is a folder of two NIfTI images: the label map, with its names beside it "
    "(labels.nii.gz with labels.json or .csv), and the template brain"
)


@dataclass(frozen=True, eq=False)
class Atlas:
    """A template brain (z, y, x; 0 outside the brain) with its labels, each on its own grid."""

    template: NDArray[Any]
    geometry: Geometry
    labels: LabelMap
    labels_geometry: Geometry


def read_atlas(folder: Path) -> Atlas:
    """Read the atlas of a folder.

    The label map is the one NIfTI image (.nii, .nii.gz) beside which a file of the same name holds
    its names (name_tables.py); the other image is the template, without its skull. Other files do
    not matter. Raises QsmError for a folder where this does not tell which is which, and for
    labels beside the template.
    """
    labels_path, template_path = _files(folder)
    labels, labels_geometry = read_labels(labels_path)
    template, geometry = read_volume(template_path)
    if not np.ptp(template) > 0:
        raise QsmError(f"the template {template_path} is empty")
    if not _inside(labels, labels_geometry, geometry):
        raise QsmError(
            f"structures of {labels_path} lie outside of {template_path}: they are not of one atlas"
        )
    return Atlas(template, geometry, labels, labels_geometry)


def read_label_map(path: Path, geometry: Geometry) -> LabelMap:
    """Read a label map that comes with a scan, in the order of the scan's voxels.

    path: NIfTI with its names beside it (label_files.py), or a DICOM Segmentation (segments.py).
    Raises QsmError for a file that is neither, has no names, or is on another grid than
    `geometry`; the line says what differs.
    """
    if not path.name.endswith(IMAGES):
        labels = read_segments(path, geometry)
        check_sides(labels, geometry, path)
        return labels
    labels, own = read_labels(path)
    return LabelMap(laid_on(labels.values, own, geometry, str(path)), labels.structures)


def _files(folder: Path) -> tuple[Path, Path]:
    """Return the files of the labels and of the template."""
    if not folder.is_dir():
        raise QsmError(f"there is no atlas folder {folder}")
    images = sorted(p for p in folder.iterdir() if p.name.endswith(IMAGES) and p.is_file())
    named = [p for p in images if (beside := names_beside(p)) and is_names(beside)]
    others = [p for p in images if p not in named]
    if not images:
        raise QsmError(f"there is no NIfTI image in {folder}; {RULE}")
    if not named:
        raise QsmError(f"the atlas {folder} has no names of its structures; {RULE}")
    for found, what in ((named, "images with names"), (others, "images without names")):
        if len(found) != 1:
            told = ", ".join(path.name for path in found) or "none"
            raise QsmError(f"{folder} must have one of the {what}, but has {told}; {RULE}")
    return named[0], others[0]


def _inside(labels: LabelMap, labels_geometry: Geometry, geometry: Geometry) -> bool:
    """Whether every labelled voxel's centre is in a voxel of the template."""
    indices = np.argwhere(labels.values)[:, ::-1]
    to_template = np.linalg.inv(geometry.affine) @ labels_geometry.affine
    there = indices @ to_template[:3, :3].T + to_template[:3, 3]
    return bool((there > -0.5).all() and (there < np.array(geometry.matrix[::-1]) - 0.5).all())
