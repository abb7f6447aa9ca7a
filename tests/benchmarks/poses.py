"""One head in other scans: on other grids, turned, cut to a slab, of another shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.ndimage
from scipy.spatial.transform import Rotation

from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.measure.images import array_of, geometry_of, image_of
from gadgetron_qsm.measure.images import coarser as with_larger_voxels
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import PPB_PER_PPM, Volume, quantify
from tests.benchmarks.heads import TILT_DEG, head

NUCLEI = (tissue.CAUDATE, tissue.PALLIDUS, tissue.PUTAMEN, tissue.RED_NUCLEUS, tissue.NIGRA)
KNOT_MM = 60.0  # what bends a head is smooth over such distances


@dataclass(frozen=True)
class Posed:
    """A scan with its truth.

    labels (z, y, x) as `phantom.tissue` numbers the NUCLEI, 0 elsewhere; left (z, y, x) bool: what
    is on the left of the head's middle.
    """

    scan: Scan
    labels: np.ndarray
    left: np.ndarray


def measured(path: Path, voxel_mm: float = 1.0) -> Posed:
    """Return the head of tests/benchmarks/heads.py as the chain measures it: its mask, its chi."""
    made = head(path, voxel_mm=voxel_mm)
    axes = Rotation.from_euler("x", TILT_DEG, degrees=True).as_matrix().T.tolist()
    geometry = Geometry(made.brain.shape, made.voxel_size, (0.0, 0.0, 0.0), *map(tuple, axes))
    np.testing.assert_allclose(geometry.b0_direction, made.b0_direction, atol=1e-6)
    echoes = Echoes(made.echoes, made.echo_times_s, made.larmor_hz, geometry)
    size = np.abs(made.echoes)
    volume = Volume(echoes, size, Settings.from_properties({}), Journal())
    found = quantify(volume)
    chi = (found.chi * PPB_PER_PPM).astype(np.float32)
    scan = Scan(chi, volume.edges.astype(np.float32), found.mask, geometry)
    nuclei = np.where(np.isin(made.labels, NUCLEI), made.labels, 0)
    across = np.arange(made.labels.shape[2])  # x runs to the head's left
    middle = np.nonzero(nuclei)[2].mean()
    left = np.broadcast_to(across > middle, nuclei.shape)
    return Posed(scan, nuclei, left)


def on_grid(posed: Posed, voxel_mm: tuple[float, float, float], turn_deg: float = 0.0) -> Posed:
    """Return what is seen on another grid (z, y, x), turned about all axes alike."""
    old = posed.scan.geometry
    turn = Rotation.from_rotvec(np.deg2rad(turn_deg) / np.sqrt(3) * np.ones(3)).as_matrix()
    axes = [turn @ axis for axis in (old.read_dir, old.phase_dir, old.slice_dir)]
    z, y, x = (
        round(n * s / v) for n, s, v in zip(old.matrix, old.voxel_size, voxel_mm, strict=True)
    )
    directions = (tuple(axis.tolist()) for axis in axes)
    onto = Geometry((z, y, x), voxel_mm, old.position, *directions)

    def seen(data: np.ndarray) -> np.ndarray:
        coarse = with_larger_voxels(image_of(data.astype(np.float32), old), min(voxel_mm))
        return resampled(array_of(coarse), geometry_of(coarse), onto)

    return _as_seen(posed, onto, seen)


def bent(posed: Posed, by_mm: float, seed: int) -> Posed:
    """Return a head of another shape: moved by a smooth random field, `by_mm` along each axis."""
    geometry = posed.scan.geometry
    rng = np.random.default_rng([seed, 60])
    sizes = zip(geometry.matrix, geometry.voxel_size, strict=True)
    knots = tuple(int(n * size / KNOT_MM) + 3 for n, size in sizes)
    field = np.stack(
        [
            scipy.ndimage.zoom(
                rng.standard_normal(knots), np.divide(geometry.matrix, knots), order=3
            )
            for _ in range(3)
        ]
    )
    steps = by_mm * field / field.std() / np.reshape(geometry.voxel_size, (3, 1, 1, 1))
    at = np.indices(geometry.matrix) + steps

    def seen(data: np.ndarray) -> np.ndarray:
        return scipy.ndimage.map_coordinates(data.astype(np.float32), at, order=1)

    return _as_seen(posed, geometry, seen)


def slab(posed: Posed, thickness_mm: float) -> Posed:
    """Return the slices about the nuclei alone."""
    scan = posed.scan
    middle = int(np.nonzero(posed.labels)[0].mean())
    half = round(thickness_mm / 2 / scan.geometry.voxel_size[0])
    kept = slice(middle - half, middle + half)
    z, y, x = 2 * half, *scan.geometry.matrix[1:]
    centre = scan.geometry.affine @ [x // 2, y // 2, middle, 1]
    geometry = replace(scan.geometry, matrix=(z, y, x), position=tuple(centre[:3].tolist()))
    cut = Scan(scan.chi[kept], scan.magnitude[kept], scan.mask[kept], geometry)
    return Posed(cut, posed.labels[kept], posed.left[kept])


def _as_seen(posed: Posed, geometry: Geometry, seen) -> Posed:
    """Return a head through a function that moves one of its arrays; labels by their shares."""
    scan = posed.scan
    mask = seen(scan.mask) > 0.5
    labels, most = np.zeros(geometry.matrix, np.uint8), np.full(geometry.matrix, 0.5, np.float32)
    for label in NUCLEI:
        share = seen(posed.labels == label)
        labels[share >= most] = label
        most = np.maximum(most, share)
    moved = Scan(np.where(mask, seen(scan.chi), 0), seen(scan.magnitude), mask, geometry)
    return Posed(moved, labels, seen(posed.left) > 0.5)
