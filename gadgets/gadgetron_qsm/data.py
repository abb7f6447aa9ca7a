"""What travels from stage to stage. Arrays are C-ordered (echo, coil, z, y, x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gadgetron_qsm.arrays import Array, to_numpy
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.kspace.kernels import Kernels


@dataclass(frozen=True)
class CoilImages:
    """Complex images of one volume, one a coil, before the coils are combined.

    data (echo, coil, z, y, x) complex64; one coil when they come combined by somebody else.
    `repetition` counts from 0. `kernels` are those of GRAPPA: a list for each slice of a 2D scan,
    in their order along z, or one for the volume; in a list one for all echoes, or one for each;
    empty when nothing was filled. `g_factor` as in Echoes, when it came along.
    """

    data: Array
    geometry: Geometry
    report: Mapping[str, Any] = field(default_factory=dict)
    repetition: int = 0
    kernels: Sequence[Sequence[Kernels]] = ()
    g_factor: Array | None = None


@dataclass(frozen=True)
class Echoes:
    """Complex images of one volume, coils combined.

    data (echo, z, y, x) complex64: its magnitude is the image's, its phase +2 pi f TE.
    `report` holds what was done so far: sections `provenance`, `timing_s`, `quality`, `warnings`.
    `repetition` counts from 0. `g_factor` (z, y, x) is what parallel imaging multiplied the noise
    by beyond the square root of its acceleration; None when unknown, or nobody asked for it.
    """

    data: Array
    echo_times_s: tuple[float, ...]
    larmor_hz: float
    geometry: Geometry
    report: Mapping[str, Any] = field(default_factory=dict)
    repetition: int = 0
    g_factor: Array | None = None


@dataclass(frozen=True)
class Map:
    """One result as people read it: chi and fields in ppb, R2* in 1/s, g in %, magnitude, mask.

    data (z, y, x) float32 in `unit`; `name` is a key of MAPS in `dicom/kinds.py`.
    `echo` counts from 0 for maps of a single echo. `report`, `repetition` as in Echoes. Values that
    are valid lie between -`reach` and `reach` (in `unit`); None where all are.
    """

    name: str
    data: Array
    unit: str
    geometry: Geometry
    echo: int | None = None
    echo_time_s: float | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    repetition: int = 0
    reach: float | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the voxels (z, y, x) as little-endian float32."""
        return sha256(to_numpy(self.data).astype("<f4").tobytes()).hexdigest()
