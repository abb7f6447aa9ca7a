"""What is measured: the maps of one scan on their grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scan:
    """The maps of one scan, arrays (z, y, x) on one grid.

    chi in ppb and 0 outside `mask` (bool), where it holds; magnitude of all echoes together (root
    of the sum of squares), which registration looks at; noise is the standard deviation of chi in a
    voxel (ppb) from the noise of the images, None when it is not known; `others` are maps measured
    besides by name: r2star (1/s), chi_positive and chi_negative (ppb).
    Raises ValueError when one has another shape than the grid.
    """

    chi: Values
    magnitude: Values
    mask: NDArray[np.bool_]
    geometry: Geometry
    noise: Values | None = None
    others: Mapping[str, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {"chi": self.chi, "magnitude": self.magnitude, "mask": self.mask, **self.others}
        if self.noise is not None:
            named["noise"] = self.noise
        for name, data in named.items():
            if data.shape != self.geometry.matrix:
                raise ValueError(f"{name} is {data.shape}, the grid {self.geometry.matrix}")
