"""The head of ellipsoids (head.py) as an atlas and as a scan: its two dark parts hold iron."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.atlas import Atlas
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from tests.measure.head import PARTS, grid, inside, points, signal

LEFT, RIGHT, BRAIN = PARTS[3], PARTS[4], PARTS[0]
IRON_PPB, NOISE_PPB = 60.0, 8.0
TEMPLATE = grid((3.0,) * 3)
LABELS = grid((2.0,) * 3, fov=(60, 60, 100))


def nuclei(geometry: Geometry, motion=None) -> np.ndarray:
    """1 in the left nucleus, 2 in the right one (z, y, x)."""
    at = _before(geometry, motion)
    left, right = (inside(at, centre, axes) >= 0.5 for centre, axes, _ in (LEFT, RIGHT))
    return (left + 2 * right).astype(np.uint8)


def atlas(name: str = "putamen") -> Atlas:
    """Its template has other shades than a scan: bright where that is dark."""
    head = signal(TEMPLATE)
    structures = (Structure(1, name, "left"), Structure(2, name, "right"))
    template = np.where(head > 0.1, 255 - 100 * head, 0).astype(np.float32)
    return Atlas(template, TEMPLATE, LabelMap(nuclei(LABELS), structures), LABELS)


def scan(geometry: Geometry, motion=None, *, magnitude=None, iron_ppb=IRON_PPB, seed=0) -> Scan:
    """The head moved by `motion`, with noise in magnitude and chi."""
    mask = inside(_before(geometry, motion), *BRAIN[:2]) >= 0.5
    chi = np.where(nuclei(geometry, motion) > 0, iron_ppb, 0.0)
    chi = chi + NOISE_PPB * np.random.default_rng(seed).standard_normal(geometry.matrix)
    seen = signal(geometry, motion, 0.04, seed) if magnitude is None else magnitude
    return Scan(np.where(mask, chi, 0).astype(np.float32), seen, mask, geometry)


def _before(geometry: Geometry, motion) -> np.ndarray:
    at = points(geometry)
    if motion is None:
        return at
    back = np.linalg.inv(motion)
    return at @ back[:3, :3].T + back[:3, 3]
