"""Parts of the protocol: which lines are sampled, how they are read, what comes along with them.

Pairs are (z, y), as arrays are. Defaults are the plain scan: everything once, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import ismrmrd

from gadgetron_qsm.errors import QsmError

MOST_LINES = 2048  # of a matrix, along each side
MOST_ACCELERATION = (3, 4)
LEAST_FOURIER = 0.5  # of k-space, above which its centre is acquired
EXTRA_KINDS: Mapping[str, tuple[int, ...]] = {  # and their flags
    "dummy": (ismrmrd.ACQ_IS_DUMMYSCAN_DATA,),
    "navigator": (ismrmrd.ACQ_IS_NAVIGATION_DATA,),
    "phase-correction": (ismrmrd.ACQ_IS_PHASECORR_DATA,),
    # Siemens' converter calls a feedback line a navigator too
    "rt-feedback": (ismrmrd.ACQ_IS_RTFEEDBACK_DATA, ismrmrd.ACQ_IS_NAVIGATION_DATA),
    "hp-feedback": (ismrmrd.ACQ_IS_HPFEEDBACK_DATA,),
    "surface-coil": (ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,),
    "stabilisation-reference": (30,),  # this flag and the next have no names in older ismrmrd
    "stabilisation": (31,),
}

Triple = tuple[float, float, float]


def check(good: bool, what: str, must: str) -> None:
    """Raise QsmError for a part of the protocol that cannot be."""
    if not good:
        raise QsmError(f"{what} of the simulated scan must be {must}")


@dataclass(frozen=True)
class Sampling:
    """Lines (kz, ky) that are acquired, and their order.

    The lattice of parallel imaging runs through k = 0, or `lattice_offset` lines beside it;
    `caipi_shift` moves it by so many lines along `caipi_axis` from each sampled row to the next.
    calibration_size: lines along (kz, ky) around k = 0, cut to what is encoded. Embedded lines
    are sampled for every average and repetition, a separate block once, before the scan.
    partial_fourier leaves out the early side of k-space; elliptical the corners.
    oversampling: field of view that is encoded, over the one that is shown.
    lost: fraction of the lines, outside the calibration block, that never arrive.
    duplicates: lines that come once more.
    """

    acceleration: tuple[int, int] = (1, 1)
    caipi_shift: int = 0
    caipi_axis: Literal["y", "z"] = "y"
    lattice_offset: tuple[int, int] = (0, 0)
    calibration: Literal["none", "embedded", "separate"] = "none"
    calibration_size: tuple[int, int] = (24, 24)
    partial_fourier: tuple[float, float] = (1.0, 1.0)
    elliptical: bool = False
    oversampling: tuple[float, float] = (1.0, 1.0)
    lost: float = 0.0
    order: Literal["linear", "partition-inner", "centre-out", "random"] = "linear"
    averages: int = 1
    repetitions: int = 1
    duplicates: int = 0

    def __post_init__(self) -> None:
        for factor, most in zip(self.acceleration, MOST_ACCELERATION, strict=True):
            check(1 <= factor <= most, "the acceleration", "1 to 3 along z and 1 to 4 along y")
        check(self.caipi_axis in ("y", "z"), "the CAIPI axis", "'y' or 'z'")
        rows = self.acceleration["zy".index(self.caipi_axis)]
        check(0 <= self.caipi_shift < rows, "the CAIPI shift", f"0 to {rows - 1}")
        known = self.calibration in ("none", "embedded", "separate")
        check(known, "the calibration", "'none', 'embedded' or 'separate'")
        check(min(self.calibration_size) >= 1, "the calibration size", "1 or more")
        check(
            all(LEAST_FOURIER < part <= 1 for part in self.partial_fourier),
            "partial Fourier",
            "above 1/2 and up to 1",
        )
        check(all(1 <= os <= 4 for os in self.oversampling), "oversampling", "1 to 4")
        check(0 <= self.lost < 1, "the fraction of lost lines", "0 or more and below 1")
        orders = ("linear", "partition-inner", "centre-out", "random")
        check(self.order in orders, "the order of lines", f"one of {', '.join(orders)}")
        check(min(self.averages, self.repetitions) >= 1, "averages and repetitions", "1 or more")
        check(self.duplicates >= 0, "the number of duplicates", "0 or more")


@dataclass(frozen=True)
class Readout:
    """How a line is read.

    echo_fraction: of the samples, the early ones of a forward readout missing. Bipolar readouts
    read echoes 1, 3, ... backwards, samples as acquired; without `reverse_flag` nothing says so.
    delay_us: of the gradient, which moves the echo later in every readout, so to +kx in forward
    and to -kx in backward ones. odd_even_rad, odd_even_linear_rad: phase that eddy currents add
    to forward echoes over that of backward ones: constant, and along (z, y, x) over the field of
    view; half of it goes to either. discard: samples before and after, of no use, to be dropped.
    """

    echo_fraction: float = 1.0
    bipolar: bool = False
    reverse_flag: bool = True
    delay_us: float = 0.0
    odd_even_rad: float = 0.0
    odd_even_linear_rad: Triple = (0.0, 0.0, 0.0)
    discard: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        fits = LEAST_FOURIER < self.echo_fraction <= 1
        check(fits, "the fraction of the echo", "above 1/2 and up to 1")
        phases = (self.delay_us, self.odd_even_rad, *self.odd_even_linear_rad)
        check(all(map(math.isfinite, phases)), "gradient delay and odd-even phase", "finite")
        check(min(self.discard) >= 0, "samples to discard", "0 or more")

    def is_backward(self, echo: int) -> bool:
        """Tell whether an echo is read from +kx to -kx."""
        return self.bipolar and echo % 2 == 1


@dataclass(frozen=True)
class Slices:
    """Two-dimensional slices, each excited on its own; their thickness is the voxel size along z.

    order: in which they are acquired; interleaved is every second one, then the others.
    numbered: idx.slice counts the slots of that order, or the places along the slice direction.
    """

    gap_mm: float = 0.0
    order: Literal["interleaved", "ascending"] = "interleaved"
    numbered: Literal["slot", "place"] = "slot"

    def __post_init__(self) -> None:
        check(0 <= self.gap_mm < math.inf, "the gap between slices", "0 or more")
        check(self.order in ("interleaved", "ascending"), "slice order", "interleaved or ascending")
        check(self.numbered in ("slot", "place"), "slice numbers", "of 'slot' or 'place'")


@dataclass(frozen=True)
class Movement:
    """How the head moves during the scan: it shifts by so many mm along (z, y).

    Once, half way through the scan, or there and back along a sine with a period.
    """

    shift_mm: tuple[float, float] = (0.0, 0.0)
    period_s: float | None = None

    def __post_init__(self) -> None:
        check(all(map(math.isfinite, self.shift_mm)), "the shift", "finite")
        swings = self.period_s is None or 0 < self.period_s < math.inf
        check(swings, "the period of the movement", "above 0")


@dataclass(frozen=True)
class Extras:
    """What else a raw file holds.

    kinds: of EXTRA_KINDS, lines that are no part of the image and would spoil it; one comes before
    the first shot and every `every` shots, the kinds in turn. idle_channels: of the noise scan,
    which the image lacks. last_flag: whether the last line says that it is the last.
    """

    kinds: tuple[str, ...] = ()
    every: int = 16
    waveforms: bool = False
    idle_channels: int = 0
    last_flag: bool = True

    def __post_init__(self) -> None:
        known = set(self.kinds) <= set(EXTRA_KINDS)
        check(known, "the extra lines", f"of {', '.join(EXTRA_KINDS)}")
        check(self.every >= 1, "the shots between extra lines", "1 or more")
        check(self.idle_channels >= 0, "the number of idle channels", "0 or more")
