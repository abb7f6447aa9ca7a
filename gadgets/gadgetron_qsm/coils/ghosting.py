"""How much of the head is seen beside it: a sign of motion, and of all else that ghosts."""

from __future__ import annotations

import math

from gadgetron_qsm.arrays import Array, array_module

DARKEST = 25  # percent of the lines along the readout, which are taken for air
LINES = 32  # along z and y that are looked at, at most; all samples of each


def ghosting(images: Array) -> float:
    """Return the amplitude of ghosts in the air, in percent of the signal.

    images (coil, z, y, x) complex of one echo, x the readout, noise alike everywhere in it.
    What changes between lines of k-space, as the position of the head does, spreads signal along
    z and y, and not along x. So the power of the darkest quarter of the lines along x is compared,
    plane by plane across x, with the mean power of the whole plane: noise is the same in planes
    with much of the head and in those without, ghosts are not. The answer is the root of how fast
    the one rises with the other. Signal that is there in any case, as of a coil that sees tissue
    in those lines, ringing, and aliasing that parallel imaging leaves, counts as well, and much
    noise makes the figure uncertain: it is to be compared between scans of one protocol. 0 where
    nothing rises.
    Air along phase against air along frequency, as the ghosting of the American College of
    Radiology's phantom test has it (Large and Medium Phantom Test Guidance, percent signal
    ghosting).
    """
    xp = array_module(images)
    z, y = (-(-n // LINES) for n in images.shape[1:3])
    power = sum(part.real**2 + part.imag**2 for part in images[:, ::z, ::y])
    lines = power.sum(axis=2)
    air = power[lines <= xp.percentile(lines, DARKEST)].mean(axis=0, dtype=xp.float64)
    planes = power.mean(axis=(0, 1), dtype=xp.float64)
    away = planes - planes.mean()
    spread = float(away @ away)
    slope = float(away @ air) / spread if spread > 0 else 0.0
    return 100 * math.sqrt(max(slope, 0.0))
