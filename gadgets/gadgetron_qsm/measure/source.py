"""A strong source as it is measured, and what counts as one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.measure.peaks import Box

Sign = Literal["paramagnetic", "diamagnetic"]
Kind = Literal["microbleed candidate", "haematoma candidate", "calcification candidate"]


@dataclass(frozen=True)
class Source:
    """A strong source: a candidate for what its kind says.

    centre_mm (LPS) and voxel (z, y, x) of its centre. Susceptibilities are over the median around
    it: of the peak, the mean where it is more than half of that, and total_ppm_mm3, which is summed
    over the volume. thresholded_mm3 is that of the part above half of the peak; diameter_mm of a
    ball that looks as large: it blooms. volume_mm3: without the bloom, as far as that is known; of
    a haematoma, which blooms little, the part above half of its median.
    r2star (1/s): mean, None when not measured. support: which maps show it besides chi. elongation:
    its longest by its shortest axis; measured: the part of it that lies in the mask and not in a
    hole of it; label: the structure that it lies in. region (z, y, x) bool, in the `box` of the
    grid: the part above half of the peak.
    """

    kind: Kind
    sign: Sign
    centre_mm: tuple[float, float, float]
    voxel: tuple[int, int, int]
    peak_ppb: float
    mean_ppb: float
    total_ppm_mm3: float
    thresholded_mm3: float
    volume_mm3: float
    diameter_mm: float
    r2star: float | None
    support: tuple[str, ...]
    elongation: float
    measured: float
    label: str | None
    box: Box = field(repr=False, compare=False)
    region: NDArray[np.bool_] = field(repr=False, compare=False)

    def mask(self, matrix: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Return where the region is on the whole grid (z, y, x)."""
        whole = np.zeros(matrix, dtype=bool)
        whole[self.box] = self.region
        return whole

    def numbers(self) -> dict[str, Any]:
        """Return all but where the region is, by name."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.compare}


@dataclass(frozen=True)
class Criteria:
    """What counts as a strong source.

    threshold_ppb: least peak over the brain's median, or over that of the nucleus it lies in; at
    least `mads` robust standard deviations of the map. Diameters from smallest_mm to largest_mm
    are those of microbleeds; smaller ones are left out, and what is paramagnetic and larger is a
    haematoma's candidate. Veins are longer than `longest` times their thickness, which is below
    vein_mm, or bend and branch, so that they fill less than `fullest` of their ellipsoid. R2* is
    rate_rise times that of the surroundings, or the magnitude magnitude_fall times. What is less
    than sidelobe_share as strong as a source within sidelobe_mm is what the inversion left of
    that. What lies nearer than edge_mm to the outside of the mask, in the median, is left out.
    Sizes: Greenberg et al. 2009, doi:10.1016/S1474-4422(09)70013-4.
    """

    threshold_ppb: float = 250.0
    mads: float = 8.0
    smallest_mm: float = 2.0
    largest_mm: float = 10.0
    longest: float = 2.0
    vein_mm: float = 6.0
    fullest: float = 0.5
    rate_rise: float = 1.5
    magnitude_fall: float = 0.75
    sidelobe_share: float = 0.4
    sidelobe_mm: float = 3.0
    edge_mm: float = 2.0
