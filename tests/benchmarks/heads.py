"""The head that accuracy is measured on: real anatomy with veins and a calcification added.

Labels at 1 mm; what the scanner would see of them is computed in memory, without k-space, so that
each field stage can be measured apart from what comes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage

from gadgetron_qsm.phantom import labels, offsets, tissue
from gadgetron_qsm.phantom.field import head_field, total_field
from gadgetron_qsm.phantom.sampling import Grid, plan_grid
from gadgetron_qsm.phantom.scan import Scan

CALCIFICATION_PPM, CALCIFICATION_MM = -1.2, 3.5
CALCIFIED = (0.10, -0.12, 0.30)  # of the brain's extent, from its centre (z, y, x)
VEINS, VEIN_MM = 40, (1.0, 1.6)  # how many, and their radii
MARGIN_MM = 12.0  # around the brain
ECHO_TIMES_S = (0.004, 0.012, 0.020, 0.028)
FIELD_T, TILT_DEG, SNR = 7.0, 20.0, 100.0


@dataclass(frozen=True)
class Head:
    """Truth and measurement on one grid, arrays (z, y, x) around the brain.

    chi, total_field and local_field (that of the brain's own sources) in ppm; brain bool; labels
    as `phantom.tissue` numbers them; echoes (echo, z, y, x) complex64 with noise, SNR in white
    matter of the first echo; voxel_size (mm) and b0_direction (z, y, x).
    """

    chi: np.ndarray
    total_field: np.ndarray
    local_field: np.ndarray
    brain: np.ndarray
    labels: np.ndarray
    echoes: np.ndarray
    echo_times_s: tuple[float, ...]
    larmor_hz: float
    voxel_size: tuple[float, float, float]
    b0_direction: tuple[float, float, float]


def head(
    path: Path,
    *,
    voxel_mm: float = 1.0,
    seed: int = 0,
    field_t: float = FIELD_T,
    snr: float = SNR,
    draw: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> Head:
    """Put the labelled head of a NIfTI file into a scanner, tilted.

    `snr` may be infinite; `draw` adds to the labels at 1 mm, given the seed: `with_lesions`.
    """
    labelled = labels.read_labels(path)
    parts = round(voxel_mm)
    scan = Scan(
        voxel_size_mm=(voxel_mm,) * 3,
        fine_per_voxel=parts,
        tilt_deg=TILT_DEG,
        field_strength_t=field_t,
        echo_times_s=ECHO_TIMES_S,
        tr_s=0.05,
        seed=seed,
    )
    grid = plan_grid(scan, labelled.fov_mm, labelled.voxel_size)
    drawn = (draw or with_lesions)(labels.embed(labelled, grid), seed)
    return seen(drawn, grid, scan, snr=snr)


def with_lesions(drawn: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the labels (z, y, x) at 1 mm with veins in the brain, and one calcification."""
    centre, extent = _brain(drawn)
    drawn = with_veins(drawn, seed)
    at = np.round(centre + extent * CALCIFIED)
    _paint(drawn, drawn >= 0, at, CALCIFICATION_MM / 2, tissue.CALCIFICATION)
    return drawn


def with_veins(drawn: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the labels (z, y, x) at 1 mm with veins in white and grey matter."""
    centre, extent = _brain(drawn)
    tissues = np.isin(drawn, (tissue.WHITE, tissue.GREY))
    drawn, rng = drawn.copy(), np.random.default_rng([seed, 7])
    for _ in range(VEINS):
        for point, radius in _vein(centre, extent, rng):
            _paint(drawn, tissues, point, radius, tissue.VEIN)
    return drawn


def _brain(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and extent (z, y, x) of the brain in voxels."""
    box = scipy.ndimage.find_objects(np.isin(drawn, tissue.BRAIN).astype(np.uint8))[0]
    centre = np.array([(s.start + s.stop) / 2 for s in box])
    return centre, np.array([s.stop - s.start for s in box])


def _vein(centre, extent, rng):
    """Points and radii along a gently curving vessel."""
    point = centre + extent * rng.uniform(-0.35, 0.35, 3)
    heading = rng.standard_normal(3)
    radius = rng.uniform(*VEIN_MM)
    for _ in range(int(rng.uniform(20, 60))):
        yield point, radius
        heading = heading / np.linalg.norm(heading) + 0.15 * rng.standard_normal(3)
        point = point + heading / np.linalg.norm(heading)


def _paint(drawn, where, point, radius, label) -> None:
    first = np.maximum(np.floor(point - radius).astype(int), 0)
    box = tuple(slice(f, f + int(2 * radius) + 3) for f in first)
    z, y, x = np.ogrid[box]
    near = (z - point[0]) ** 2 + (y - point[1]) ** 2 + (x - point[2]) ** 2 <= radius**2
    near = near[tuple(slice(n) for n in drawn[box].shape)]
    drawn[box][near & where[box]] = label


def seen(
    drawn: np.ndarray,
    grid: Grid,
    scan: Scan,
    *,
    tissues: Mapping[int, tissue.Tissue] = tissue.TISSUES,
    brain_labels: Collection[int] = tissue.BRAIN,
    snr: float = SNR,
    coarse_background: bool = False,
) -> Head:
    """Scan what is drawn on the fine grid (z, y, x), of the tissues that its labels name.

    `coarse_background`: the field of what is not brain is that of its voxels, and smooth in them,
    which takes an eighth of the time at two parts a side.
    """
    rng = np.random.default_rng([scan.seed, 8])
    fine, parts = grid.fine_voxel_size, grid.factor[0]
    brain = _table(brain_labels)[drawn]
    share = of_voxels(brain, parts)
    box = around(share >= 0.5, round(MARGIN_MM / grid.voxel_size[0]))
    within = tuple(slice(parts * side.start, parts * side.stop) for side in box)
    chi = tissue.lookup(tissues, "chi_ppm")
    chi[tissue.CALCIFICATION] = CALCIFICATION_PPM
    chi = chi[drawn]
    own, others = np.where(brain, chi, 0), np.where(brain, 0, chi)
    local = total_field(own, fine, scan.b0_direction)
    frequency = local + _background(others, grid, scan, coarse=coarse_background)
    frequency *= np.float32(scan.larmor_hz * 1e-6)
    frequency += offsets.shim(frequency, brain, grid.fov_mm, rng).on(drawn.shape)
    brain, chi, local, frequency = (x[within] for x in (brain, chi, local, frequency))
    density = tissue.lookup(tissues, "proton_density")[drawn[within]]
    rate = tissue.lookup(tissues, "r2star_hz")[drawn[within]]
    rate *= np.float32(tissue.r2star_scale(scan.field_strength_t))
    echoes = np.stack(
        [
            of_voxels(density * np.exp(-te * rate + 2j * np.pi * te * frequency), parts)
            for te in scan.echo_times_s
        ]
    ).astype(np.complex64)
    share = share[box]
    own_labels = drawn[tuple(slice(parts // 2, None, parts) for _ in range(3))][box]
    white = own_labels == tissue.WHITE
    sigma = np.abs(echoes[0][white]).mean() / snr
    noise = rng.standard_normal((*echoes.shape, 2), np.float32) @ np.array([1, 1j], np.complex64)
    echoes += np.complex64(sigma) * noise

    def over_brain(values: np.ndarray) -> np.ndarray:
        mean = of_voxels(values * brain, parts) / np.maximum(share, 1e-6)
        return np.where(share > 0, mean, 0).astype(np.float32)

    shimmed = over_brain(frequency / np.float32(scan.larmor_hz * 1e-6))
    return Head(
        chi=over_brain(chi),
        total_field=shimmed,
        local_field=over_brain(local),
        brain=share >= 0.5,
        labels=own_labels,
        echoes=echoes,
        echo_times_s=scan.echo_times_s,
        larmor_hz=scan.larmor_hz,
        voxel_size=grid.voxel_size,
        b0_direction=scan.b0_direction,
    )


def _background(others: np.ndarray, grid: Grid, scan: Scan, *, coarse: bool) -> np.ndarray:
    air_ppm, b0 = float(tissue.TISSUES[tissue.AIR].chi_ppm), scan.b0_direction
    if not coarse:
        return head_field(others, air_ppm, grid.fine_voxel_size, b0, of_boxes=True)
    parts = grid.factor[0]
    field = head_field(of_voxels(others, parts), air_ppm, grid.voxel_size, b0, of_boxes=True)
    return scipy.ndimage.zoom(field, parts, order=1, mode="nearest", grid_mode=True)


def _table(labels: Collection[int]) -> np.ndarray:
    held = np.zeros(tissue.LARGEST_LABEL + 1, bool)
    held[list(labels)] = True
    return held


def of_voxels(fine: np.ndarray, parts: int) -> np.ndarray:
    """Average a fine map, or take the share of a mask, over voxels of so many parts a side."""
    fine = fine.astype(np.float32) if fine.dtype == bool else fine
    z, y, x = (n // parts for n in fine.shape)
    return fine.reshape(z, parts, y, parts, x, parts).mean(axis=(1, 3, 5), dtype=fine.dtype)


def around(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    """Return the box of a mask and so many voxels around it, as far as the grid goes."""
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(box, mask.shape, strict=True)
    )
