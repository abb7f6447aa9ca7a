"""Scans of several sizes, as protocols of the simulated scanner."""

from __future__ import annotations

from dataclasses import dataclass

from gadgetron_qsm.phantom.head import HEAD_MM
from gadgetron_qsm.phantom.protocol import Sampling
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Scan

TR_S = 0.035
FIRST_ECHO_S, SPACING_S, LONGEST_SPACING_S = 0.0035, 0.0265, 0.0053
CALIBRATION = (24, 24)  # lines (kz, ky)


@dataclass(frozen=True)
class Size:
    """Voxels (z, y, x) over the field of view of a head; snr of white matter, as `Scan` has it."""

    matrix: tuple[int, int, int]
    coils: int
    echoes: int
    acceleration: tuple[int, int]
    snr: float

    @property
    def grid(self) -> Grid:
        """The voxels of the scan, which are simulated as they are."""
        z, y, x = (length / n for length, n in zip(HEAD_MM, self.matrix, strict=True))
        return Grid(self.matrix, (1, 1, 1), (z, y, x))

    def scan(self, seed: int = 0) -> Scan:
        """Return the protocol: monopolar echoes evenly spaced, all within TR."""
        spacing_s = min(LONGEST_SPACING_S, SPACING_S / max(self.echoes - 1, 1))
        accelerated = self.acceleration != (1, 1)
        return Scan(
            voxel_size_mm=self.grid.voxel_size,
            matrix=self.matrix,
            echo_times_s=tuple(FIRST_ECHO_S + echo * spacing_s for echo in range(self.echoes)),
            tr_s=TR_S,
            coils=self.coils,
            snr=self.snr,
            seed=seed,
            sampling=Sampling(
                acceleration=self.acceleration,
                calibration="embedded" if accelerated else "none",
                calibration_size=CALIBRATION,
            ),
        )


SIZES = {
    "tiny": Size((44, 56, 48), coils=4, echoes=3, acceleration=(1, 1), snr=80.0),
    "small": Size((88, 112, 96), coils=8, echoes=5, acceleration=(1, 1), snr=60.0),
    "clinical": Size((160, 240, 192), coils=32, echoes=5, acceleration=(2, 2), snr=60.0),
    "large": Size((208, 320, 256), coils=32, echoes=8, acceleration=(2, 2), snr=40.0),
}
