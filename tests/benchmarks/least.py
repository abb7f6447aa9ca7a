"""The fewest bytes and operations that each stage of the default chain can do with."""

from __future__ import annotations

import math
from dataclasses import dataclass

COMPLEX, REAL, BOOL = 8, 4, 1  # bytes
SOURCES = 16  # lattice lines that GRAPPA makes one of


@dataclass(frozen=True)
class Shapes:
    """Of a scan: echoes, coils received and virtual, voxels along each axis (z, y, x), lines of an
    echo that came, samples of each; of its inversion: voxels of the work grid, radii, iterations.
    """

    echoes: int
    coils: int
    virtual: int
    matrix: tuple[int, int, int]
    lines: int
    samples: int
    work: int
    radii: int
    iterations: int

    @property
    def voxels(self) -> int:
        """Voxels of a volume."""
        return math.prod(self.matrix)

    @property
    def images(self) -> int:
        """Bytes of all coil images."""
        return COMPLEX * self.echoes * self.virtual * self.voxels


@dataclass(frozen=True)
class Least:
    """Bytes read and written, operations, and what they are."""

    moved: float
    operations: float
    what: str


def least(of: Shapes) -> dict[str, Least]:
    """Return what each stage needs at least, by its name.

    An array is read once and written once by whatever passes over it; a 3D transform is three
    passes, as rows of one axis fit the cache and a volume does not; an n-point transform has
    5 n log2 n operations, a real one half of that. Tables and what is smooth count as nothing.
    """
    volume = REAL * of.voxels
    wanted = of.matrix[0] * of.matrix[1]
    filled = of.echoes * (wanted - of.lines) * of.matrix[2]
    everything = {
        "ingest": _ingest(of),
        "grappa": Least(
            of.images,
            8 * filled * of.virtual**2 * SOURCES,
            "lattice lines read, the others written",
        ),
        "coils": Least(
            of.images * (1 + 3 / of.echoes) + COMPLEX * of.echoes * of.voxels,
            8 * (of.echoes + 3) * of.virtual * of.voxels,
            "two echoes for the growth, one for the sensitivities, all to be combined",
        ),
        "field": Least(
            COMPLEX * of.echoes * of.voxels + 3 * volume, 0, "echoes to field, noise, residual"
        ),
        "mask": Least(2 * volume + BOOL * of.voxels, 0, "magnitude and residual to mask"),
        "inversion": _inversion(of),
        "reference": Least(2 * volume + BOOL * of.voxels, 0, "chi and mask to chi"),
        "r2star": Least(REAL * of.echoes * of.voxels + volume, 0, "magnitudes to R2*"),
    }
    return {name: one for name, one in everything.items() if name != "grappa" or filled}


def _ingest(of: Shapes) -> Least:
    came = of.echoes * of.lines
    raw = COMPLEX * came * of.coils * of.samples
    kept = COMPLEX * came * of.virtual * of.matrix[2]
    along_x = came * of.coils * _fft(of.samples)
    along_zy = of.echoes * of.virtual * of.voxels * 5 * math.log2(of.matrix[0] * of.matrix[1])
    compressed = 8 * came * of.coils * of.virtual * of.matrix[2]
    return Least(
        raw + kept + 4 * of.images,
        along_x + compressed + along_zy,
        "readouts read, virtual coils written, passes along ky and kz",
    )


def _inversion(of: Shapes) -> Least:
    """Single-step TV: see `ss_tv._minimise`."""
    volume = REAL * of.work
    transforms = 2 * (1 + of.radii)
    passes = 3 * 2 * transforms
    kernels = (2 * of.radii + 1) / 2  # real, on the half spectrum
    edges = 11  # three copies and their bounds, chi, pull
    fields = 2 * of.radii
    return Least(
        of.iterations * volume * (passes + kernels + edges + fields),
        of.iterations * transforms * _fft(of.work) / 2,
        f"{of.iterations} iterations, {transforms} real transforms each, {of.radii} radii",
    )


def _fft(n: int) -> float:
    return 5 * n * math.log2(n)
