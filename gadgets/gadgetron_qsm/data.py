"""What travels from stage to stage. Arrays are C-ordered (echo, coil, z, y, x)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.geometry import Geometry


@dataclass(frozen=True)
class CoilImages:
    """Complex images of one volume, one a coil, before the coils are combined.

    data (echo, coil, z, y, x) complex64; one coil when they come combined by somebody else.
    """

    data: Array
    geometry: Geometry
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Echoes:
    """Complex images of one volume, coils combined.

    data (echo, z, y, x) complex64: its magnitude is the image's, its phase +2 pi f TE.
    `report` holds what was done so far: sections `provenance`, `timing_s`, `quality`, `warnings`.
    """

    data: Array
    echo_times_s: tuple[float, ...]
    larmor_hz: float
    geometry: Geometry
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Map:
    """One result as people read it: chi in ppb, fields in ppb, R2* in 1/s, magnitude, mask.

    data (z, y, x) float32 in `unit`; `name` is a key of MAPS in `dicom/kinds.py`.
    `echo` counts from 0 for maps of a single echo. `report` as in Echoes.
    """

    name: str
    data: Array
    unit: str
    geometry: Geometry
    echo: int | None = None
    echo_time_s: float | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
