"""A susceptibility map with regions, and its series as it is kept for the objects about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from scipy.spatial.transform import Rotation

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.regions import Region, coded_region, regions_of
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from tests.written import write_series

OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix().T
DIRECTIONS = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "axial, left-handed": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "axial, feet first": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "double oblique": tuple(map(tuple, OBLIQUE)),
    "double oblique, left-handed": tuple(map(tuple, OBLIQUE * [[1], [-1], [1]])),
}
REPORT = {
    "provenance": {
        "mask": {"method": "bet"},
        "reference": {"method": "mean", "region": "CSF of the ventricles"},
    },
    "warnings": ["3 of 40 lines are missing"],
}


def slab(directions: tuple = DIRECTIONS["axial"], slices: int = 5) -> Geometry:
    return Geometry((slices, 7, 6), (2.5, 1.25, 1.5), (13.7, -22.1, 31.9), *directions)


def chi_of(geometry: Geometry) -> Map:
    data = np.random.default_rng(4).normal(0, 60, geometry.matrix).astype(np.float32)
    return Map("chi", data, "ppb", geometry, report=REPORT)


def regions_in(geometry: Geometry) -> list[Region]:
    """Whole brain, CSF and putamen: without symmetry, the brain over both others."""
    brain, csf, putamen = np.zeros((3, *geometry.matrix), dtype=bool)
    brain[:-1, 1:6, 1:] = True
    csf[0, 1:3, 2:] = True
    putamen[: max(1, geometry.matrix[0] // 2), 2, 4:] = True
    return [*regions_of(brain, csf), coded_region("putamen", putamen, "left")]


def scene_of(
    header: Header, folder: Path, directions: tuple = DIRECTIONS["axial"]
) -> tuple[Map, list[Region], list[Dataset]]:
    """A map, its regions and its images."""
    chi = chi_of(slab(directions))
    return chi, regions_in(chi.geometry), images_of(chi, header, folder)


def images_of(chi: Map, header: Header, folder: Path) -> list[Dataset]:
    """Images of the map as they are kept: in full but for the pixels."""
    files = write_series(chi, header, folder)
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
