"""The head with bleeds and calcifications scattered in it, seen by a scanner and quantified.

A sphere's field and the part of a voxel that it fills are known in closed form, so that its signal
is summed over small parts of each voxel near it: what it dephases looks larger than it is, as in a
patient. All else is the head of `heads` with its veins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage

from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import PPB_PER_PPM, Volume, quantify
from tests.benchmarks.heads import FIELD_T, SNR, Head, head, with_veins

BLEED, CALCIFICATION = "paramagnetic", "diamagnetic"
MADE_OF: Mapping[str, tissue.Tissue] = {
    BLEED: tissue.Tissue("bleed", 0.9, 0.5, 120.0),
    CALCIFICATION: tissue.Tissue("calcification", -1.2, 0.3, 60.0),
}
COUNTS = {BLEED: 15, CALCIFICATION: 10}
DIAMETERS_MM = (2.0, 6.0)
APART_MM = 8.0  # between centres
PARTS = 5  # of a voxel along each axis, near a sphere
NEAR_MM, FAR_MM = 4.0, 40.0  # from a sphere's surface; its field ends


@dataclass(frozen=True)
class Sphere:
    """A bleed or a calcification: its centre (z, y, x) in voxels, susceptibility in ppb.

    contrast_ppb: over what was there before.
    """

    sign: str
    centre: tuple[float, float, float]
    diameter_mm: float
    contrast_ppb: float

    @property
    def volume_mm3(self) -> float:
        """Volume of the sphere."""
        return float(np.pi / 6 * self.diameter_mm**3)


@dataclass(frozen=True)
class Scattered:
    """A scan of the head, what was scattered in it, and the labels (z, y, x) of the rest."""

    scan: Scan
    spheres: tuple[Sphere, ...]
    labels: np.ndarray


def scattered(
    path: Path,
    seed: int,
    *,
    field_t: float = FIELD_T,
    strength: float = 1.0,
    properties: Mapping[str, str] | None = None,
) -> Scattered:
    """Scatter spheres in the head of a NIfTI file, scan it at 1 mm, and quantify it.

    `strength`: of their susceptibility and R2*. The signal grows with the field strength.
    """
    rng = np.random.default_rng([seed, 9])
    seen = head(path, seed=seed, field_t=field_t, snr=np.inf, draw=with_veins)
    spheres = placed(seen, rng, strength)
    signal = with_spheres(seen, spheres, strength * tissue.r2star_scale(field_t))
    sigma = np.abs(seen.echoes[0][seen.labels == tissue.WHITE]).mean() / (SNR * field_t / FIELD_T)
    noise = rng.standard_normal((*signal.shape, 2), np.float32) @ np.array([1, 1j], np.complex64)
    signal += np.complex64(sigma) * noise
    scan = _quantified(seen, signal, Settings.from_properties(properties or {}))
    return Scattered(scan, spheres, seen.labels)


def placed(seen: Head, rng: np.random.Generator, strength: float) -> tuple[Sphere, ...]:
    """Put spheres wholly into white and grey matter, and the veins there, apart from each other."""
    room = np.isin(seen.labels, (tissue.WHITE, tissue.GREY, tissue.VEIN))
    depth = scipy.ndimage.distance_transform_edt(room, sampling=seen.voxel_size)
    size = np.array(seen.voxel_size)
    placed: list[Sphere] = []
    for sign in (name for name, count in COUNTS.items() for _ in range(count)):
        diameter = rng.uniform(*DIAMETERS_MM)
        fitting = np.argwhere(depth > diameter / 2 + 1)
        while True:
            at = rng.choice(fitting) + rng.uniform(-0.5, 0.5, 3)
            away = [np.linalg.norm((at - other.centre) * size) for other in placed]
            if min(away, default=np.inf) >= APART_MM:
                break
        here = 1000 * seen.chi[tuple(np.round(at).astype(int))]
        contrast = 1000 * strength * MADE_OF[sign].chi_ppm - float(here)
        placed.append(Sphere(sign, tuple(at.tolist()), float(diameter), contrast))
    return tuple(placed)


def with_spheres(seen: Head, spheres: tuple[Sphere, ...], faster: float) -> np.ndarray:
    """Return the signal (echo, z, y, x) with spheres, whose R2* is that at 3 T times `faster`."""
    signal = seen.echoes.copy()
    times = 2 * np.pi * seen.larmor_hz * 1e-6 * np.reshape(seen.echo_times_s, (-1, 1, 1, 1))
    for sphere in spheres:
        box = _box(sphere, FAR_MM, seen)
        field, _ = _of_sphere(sphere, box, seen, parts=1)
        near = _box(sphere, NEAR_MM, seen)
        within = tuple(
            slice(n.start - b.start, n.stop - b.start) for n, b in zip(near, box, strict=True)
        )
        field[(..., *within)] = 0
        signal[(..., *box)] *= np.exp(1j * times * field[0])
        field, inside = _of_sphere(sphere, near, seen, parts=PARTS)
        made_of, here = MADE_OF[sphere.sign], signal[(..., *near)]
        for echo, te in enumerate(seen.echo_times_s):
            own = made_of.proton_density * np.exp(-te * faster * made_of.r2star_hz)
            around = np.where(inside, 0, np.exp(1j * times[echo].item() * field)).mean(axis=0)
            rest = here[echo] / np.maximum(np.abs(here[echo]), 1e-12)
            here[echo] = here[echo] * around + own * inside.mean(axis=0) * rest
    return signal


def _box(sphere: Sphere, margin_mm: float, seen: Head) -> tuple[slice, ...]:
    reach = [(sphere.diameter_mm / 2 + margin_mm) / size for size in seen.voxel_size]
    return tuple(
        slice(max(int(c - r), 0), min(int(c + r) + 2, n))
        for c, r, n in zip(sphere.centre, reach, seen.labels.shape, strict=True)
    )


def _of_sphere(
    sphere: Sphere, box: tuple[slice, ...], seen: Head, parts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Field (ppm) in the parts (part, z, y, x) of the voxels of a box, and which lie inside."""
    steps = (np.arange(parts) + 0.5) / parts - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1)
    axes = [
        ((np.arange(s.start, s.stop) - c)[None, :] + offset[:, None]) * size
        for s, c, size, offset in zip(box, sphere.centre, seen.voxel_size, offsets, strict=True)
    ]
    z, y, x = axes[0][:, :, None, None], axes[1][:, None, :, None], axes[2][:, None, None, :]
    square = np.maximum(z**2 + y**2 + x**2, 1e-9).astype(np.float32)
    bz, by, bx = seen.b0_direction
    along = (bz * z + by * y + bx * x).astype(np.float32)
    radius = sphere.diameter_mm / 2
    inside = square <= radius**2
    shape = (3 * along**2 / square - 1) * (radius**2 / square) ** 1.5 / 3
    return np.where(inside, 0, sphere.contrast_ppb / 1000 * shape), inside


def _quantified(seen: Head, signal: np.ndarray, settings: Settings) -> Scan:
    geometry = _geometry(seen)
    echoes = Echoes(signal, seen.echo_times_s, seen.larmor_hz, geometry)
    volume = Volume(echoes, np.abs(signal), settings, Journal())
    found = quantify(volume)
    chi = (found.chi * PPB_PER_PPM).astype(np.float32)
    rate = volume.rate.astype(np.float32)
    return Scan(chi, volume.edges, found.mask, geometry, others={"r2star": rate})


def _geometry(seen: Head) -> Geometry:
    """The grid of the head, tilted about the read axis as B0 is in it."""
    bz, by, bx = seen.b0_direction
    if abs(bx) > 1e-6:
        raise ValueError("the head is tilted about another axis than the read axis")
    shape = seen.labels.shape
    return Geometry(shape, seen.voxel_size, (0, 0, 0), (1, 0, 0), (0, bz, by), (0, -by, bz))
