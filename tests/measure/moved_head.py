"""A head of smooth blobs with nuclei on both sides, which can lie anywhere: made-up visits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.folder import write_visit
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan

GRID = Geometry((36, 44, 38), (4, 4, 4), (2, -3, 5), (1, 0, 0), (0, 1, 0), (0, 0, 1))
RADII_MM = np.array([58.0, 70.0, 55.0])  # of the brain, LPS
NUCLEUS_MM, NUCLEUS_PPB, NOISE_PPB = 11.0, 60.0, 4.0
NUCLEI = {"putamen": (24.0, -6.0, 2.0), "thalamus": (13.0, 20.0, 4.0)}  # of the left
STRUCTURES = (
    Structure(1, "putamen", "left"),
    Structure(2, "putamen", "right"),
    Structure(3, "thalamus", "left"),
    Structure(4, "thalamus", "right"),
)
ABOUT = {
    "use": "Research use; not for clinical use.",
    "software": {"gadgetron-qsm": "0.1.0", "numpy": "2.0.0"},
    "patient": "a1b2",
    "scan": {"field_strength_t": 3.0, "echo_times_s": [0.005, 0.01, 0.015]},
    "methods": {
        "field": {"method": "romeo"},
        "inversion": {"method": "tv", "iterations": 40},
        "reference": {"method": "mean", "region": "whole brain"},
    },
    "reference": {"region": "whole brain", "mean_ppb": 0.0},
}


def motion(degrees: float = 8.0, shift_mm: tuple[float, float, float] = (4, -2, 2)) -> np.ndarray:
    """A rotation about an oblique axis, and a shift (4 x 4, LPS)."""
    matrix = np.eye(4)
    axis = np.array([2.0, 1.0, -1.0]) / np.sqrt(6)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def scan_of(
    matrix: np.ndarray, raised_ppb: float = 0.0, seed: int = 0, geometry: Geometry = GRID
) -> tuple[Scan, LabelMap]:
    """The scan of the head as it lies, its left putamen raised, and its regions."""
    z, y, x = np.indices(geometry.matrix)
    points = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ geometry.affine.T
    at = (points @ np.linalg.inv(matrix).T)[..., :3]  # in the head
    mask = np.square(at / RADII_MM).sum(axis=-1) < 1
    rng = np.random.default_rng(7)
    magnitude, chi = np.full(mask.shape, 300.0), np.zeros(mask.shape)
    for centre, height in zip(rng.uniform(-50, 50, (40, 3)), rng.uniform(-80, 80, 40), strict=True):
        blob = np.exp(-np.square(at - centre).sum(axis=-1) / (2 * 12.0**2))
        magnitude += height * blob
        chi += 0.3 * height * blob
    values = np.zeros(mask.shape, np.int16)
    for structure in STRUCTURES:
        centre = np.multiply(NUCLEI[structure.name], (1 if structure.side == "left" else -1, 1, 1))
        away = np.linalg.norm(at - centre, axis=-1)
        fills = np.clip((NUCLEUS_MM - away) / 4 + 0.5, 0, 1)  # of a voxel, about
        more = raised_ppb if structure.label == "left putamen" else 0.0
        chi += (NUCLEUS_PPB + more) * fills
        magnitude -= 60 * fills
        values[fills >= 0.5] = structure.value
    chi += np.random.default_rng(seed).normal(0, NOISE_PPB, mask.shape)
    scan = Scan(
        np.where(mask, chi, 0).astype(np.float32),
        np.where(np.square(at / (RADII_MM + 8)).sum(axis=-1) < 1, magnitude, 0).astype(np.float32),
        mask,
        geometry,
        np.full(mask.shape, NOISE_PPB, np.float32),
    )
    return scan, LabelMap(values, STRUCTURES)


def write(
    folder: Path,
    day: int,
    matrix: np.ndarray,
    raised_ppb: float = 0.0,
    about: dict | None = None,
    **geometry: object,
) -> Path:
    """Write the folder of a visit on a day of a month."""
    scan, labels = scan_of(matrix, raised_ppb, seed=day, geometry=replace(GRID, **geometry))
    told = {**ABOUT, "acquired": f"2024-05-{day:02d}T08:00:00", **(about or {})}
    write_visit(folder, scan, labels if day == 1 else None, told)
    return folder
