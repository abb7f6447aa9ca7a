"""How large a source is that looks larger: what it dephases around itself is dark as well.

Where the phase turns by more than a cycle across a voxel, nothing is left of the signal, and no
inversion can tell what is source and what its surroundings: it spreads the moment over both. In the
field of a moment M the phase of 1 ppm, p, makes a gradient of p M |3 cos^2 - 1| 3 / (4 pi r^4),
root mean square over the sphere with sqrt(4/5) for the middle factor. It is a cycle a voxel at
    r^4 = 3 sqrt(4/5) p M voxel / (8 pi^2).
A source of radius R looks as large as (R^4 + r^4)^(1/4): R where it is the larger, r at most.
"""

from __future__ import annotations

import math

CYCLE = 3 * math.sqrt(4 / 5) / (8 * math.pi**2)
LEAST_SHARE = 0.1  # of what is seen: below, the source is lost in what it dephases


def dephased_mm(total_ppm_mm3: float, radians_per_ppm: float, voxel_mm: float) -> float:
    """Radius (mm) in which a source dephases voxels.

    total_ppm_mm3: its total susceptibility; radians_per_ppm: phase of 1 ppm at the first echo;
    voxel_mm: longest side of a voxel.
    """
    return (CYCLE * abs(radians_per_ppm * total_ppm_mm3) * voxel_mm) ** 0.25


def without_bloom(seen_mm3: float, dephased_radius_mm: float) -> float:
    """Volume (mm3) of a ball that looks as large as `seen_mm3` for what it dephases around it."""
    seen = (3 * seen_mm3 / (4 * math.pi)) ** (4 / 3)
    left = max(seen - dephased_radius_mm**4, 0.0)
    return max(4 / 3 * math.pi * left**0.75, LEAST_SHARE * seen_mm3)


def diameter_mm(volume_mm3: float) -> float:
    """Diameter (mm) of a ball of that volume."""
    return (6 * volume_mm3 / math.pi) ** (1 / 3)
