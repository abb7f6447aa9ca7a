"""Named ways in which clinical scans differ from the plain one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.phantom.protocol import EXTRA_KINDS, MOST_LINES, Slices
from gadgetron_qsm.phantom.scan import Scan

PARTS = (
    "sampling",
    "readout",
    "extras",
    "movement",
)  # of a Scan, whose fields a variant names directly


@dataclass(frozen=True)
class Variant:
    """What it is in a line, and the values of `Scan` and its parts that make it."""

    text: str
    changes: Mapping[str, Any]


def _lattice(
    z: int,
    y: int,
    shift: int = 0,
    *,
    axis: str = "y",
    mode: str = "embedded",
    offset: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """Return a lattice; one along y alone is calibrated in every partition, as on Siemens."""
    return {
        "acceleration": (z, y),
        "caipi_shift": shift,
        "caipi_axis": axis,
        "lattice_offset": offset,
        "calibration": mode,
        "calibration_size": (24 if z > 1 or shift else MOST_LINES, 24),
    }


BIPOLAR = {
    "bipolar": True,
    "delay_us": 1.5,
    "odd_even_rad": 0.7,
    "odd_even_linear_rad": (0.2, -0.3, 0.4),
}
SLICES = {"slices": Slices(gap_mm=0.4), "tr_s": 0.8}

VARIANTS: Mapping[str, Variant] = {
    "full": Variant("the plain scan", {}),
    "r2": Variant("2-fold along y, 24 lines embedded", _lattice(1, 2)),
    "r3": Variant("3-fold along y, 24 lines embedded", _lattice(1, 3)),
    "r4": Variant("4-fold along y, 24 lines embedded", _lattice(1, 4)),
    "r2-separate": Variant("2-fold along y, separate block", _lattice(1, 2, mode="separate")),
    "r2-uncalibrated": Variant("2-fold along y, no calibration", _lattice(1, 2, mode="none")),
    "r2x2": Variant("2-fold along y and z, embedded block", _lattice(2, 2)),
    "r2x2-offset": Variant("r2x2, the lattice beside k = 0", _lattice(2, 2, offset=(1, 1))),
    "r3x2": Variant("3-fold along y, 2-fold along z, embedded block", _lattice(2, 3)),
    "r4x3": Variant("4-fold along y, 3-fold along z, embedded block", _lattice(3, 4)),
    "caipi1x2": Variant("2-fold along y, every second partition shifted", _lattice(1, 2, 1)),
    "caipi2x2": Variant("2-fold along y and z, rows shifted along y", _lattice(2, 2, 1)),
    "caipi2x2-z": Variant("the same, shifted along z", _lattice(2, 2, 1, axis="z")),
    "caipi2x2-separate": Variant("caipi2x2, separate block", _lattice(2, 2, 1, mode="separate")),
    "caipi3x2": Variant("3-fold along y, 2-fold along z, shifted along y", _lattice(2, 3, 1)),
    "elliptical": Variant("no lines in the corners of k-space", {"elliptical": True}),
    "holes": Variant("3 % of the lines lost at random", {"lost": 0.03}),
    "partial-fourier": Variant("6/8 along y", {"partial_fourier": (1.0, 0.75)}),
    "partial-fourier-both": Variant(
        "7/8 along z, 6/8 along y", {"partial_fourier": (0.875, 0.75)}
    ),
    "asymmetric": Variant("echoes begin late: 3/4 of the readout", {"echo_fraction": 0.75}),
    "bipolar": Variant("echoes 2, 4, ... read backwards, with delay and eddy currents", BIPOLAR),
    "bipolar-unflagged": Variant(
        "the same, which nothing says", {**BIPOLAR, "reverse_flag": False}
    ),
    "discards": Variant("samples to be dropped at both ends", {"discard": (6, 3)}),
    "oversampled": Variant("20 % more along y, 25 % along z", {"oversampling": (1.25, 1.2)}),
    "odd-matrix": Variant("an odd number of voxels along each side", {"odd": True}),
    "averages": Variant("everything twice, to be averaged", {"averages": 2}),
    "repetitions": Variant("three volumes", {"repetitions": 3}),
    "duplicates": Variant("20 lines come twice", {"duplicates": 20}),
    "slices": Variant("2D slices with a gap, interleaved", SLICES),
    "slices-r2": Variant("the same, 2-fold along y", {**SLICES, **_lattice(1, 2)}),
    "slices-ascending": Variant(
        "2D slices without gap, one after the other",
        {**SLICES, "slices": Slices(order="ascending")},
    ),
    "partition-inner": Variant("all partitions of a line first", {"order": "partition-inner"}),
    "centre-out": Variant("lines from the centre outwards", {"order": "centre-out"}),
    "random-order": Variant("lines in random order", {"order": "random"}),
    "single-echo": Variant("one echo at 20 ms", {"echo_times_s": (0.020,)}),
    "no-noise": Variant("noisy, but without a noise scan", {"noise_lines": 0}),
    "idle-channels": Variant("three channels that only the noise scan has", {"idle_channels": 3}),
    "moved": Variant("the head shifts by 3 mm half way", {"shift_mm": (2.4, 1.8)}),
    "restless": Variant(
        "the head sways by 1 mm along y, every 3 s", {"shift_mm": (0.0, 1.0), "period_s": 3.0}
    ),
    "no-last-flag": Variant("nothing says which line is the last", {"last_flag": False}),
    "extra-lines": Variant(
        "lines of all other kinds, and waveforms", {"kinds": tuple(EXTRA_KINDS), "waveforms": True}
    ),
}  # fmt: skip


def varied(scan: Scan, names: Iterable[str]) -> Scan:
    """Change a scan into the named variants of it, one after the other.

    Raises UsageError for a name that is not in VARIANTS, QsmError for variants that do not go
    together.
    """
    for name in names:
        if name not in VARIANTS:
            raise UsageError(f"no variant '{name}'; there are {', '.join(VARIANTS)}")
        scan = _changed(scan, VARIANTS[name].changes)
    return scan


def _changed(scan: Scan, changes: Mapping[str, Any]) -> Scan:
    own = {name: value for name, value in changes.items() if hasattr(scan, name)}
    for part in PARTS:
        value = getattr(scan, part)
        names = {field.name for field in fields(value)} & set(changes)
        own[part] = replace(value, **{name: changes[name] for name in names})
    return replace(scan, **own)
