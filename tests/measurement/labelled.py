"""A label map and an atlas's folder for the sphere of sphere_scan.py."""

from __future__ import annotations

import json

import numpy as np

from gadgetron_qsm.nifti import write_volume
from tests.sphere_scan import CENTRE_MM, RADIUS_MM, distance, norm

NAMES = {"1": "left putamen", "2": "right putamen"}


def halves():
    """The sphere's voxels, in one half and in the other."""
    inside = norm(distance(CENTRE_MM)) < 0.8 * RADIUS_MM
    half = distance(CENTRE_MM)[2] > 0
    return np.where(inside, np.where(half, 1, 2), 0).astype(np.uint8)


def write_labels(folder, geometry, values=None, names=NAMES):
    """Write the label map with its names; return its path."""
    path = folder / "labels.nii.gz"
    write_volume(path, halves() if values is None else values, geometry)
    if names:
        (folder / "labels.json").write_text(json.dumps(names))
    return path
