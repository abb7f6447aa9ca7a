"""What our own meta keys of an image hold: checked, because it may have been changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gadgetron_qsm.errors import QsmError

UInt32 = Annotated[int, Field(ge=0, lt=1 << 32)]
Triple = tuple[float, float, float]


class _Scan(BaseModel):
    """Of header.fingerprint."""

    measurement_uid: UInt32 = 0
    first_time_stamp: UInt32 = 0
    table_position_mm: Triple = (0, 0, 0)


class _Provenance(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    scan: _Scan = _Scan()


class _Report(BaseModel):
    """Of Journal.report."""

    provenance: _Provenance = _Provenance()
    timing_s: dict[str, float] = Field(default_factory=dict)
    quality: dict[str, Any] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)


class _Geometry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    matrix: tuple[int, int, int]
    voxel_size: Triple
    position: Triple
    read_dir: Triple
    phase_dir: Triple
    slice_dir: Triple


class _Own(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, strict=False)

    geometry: _Geometry | None = None
    report: _Report = _Report()
    map: str = ""
    unit: str = ""
    echo: Annotated[int, Field(ge=0, lt=1 << 16)] | None = None
    echo_time_s: float | None = None
    slices: Annotated[int, Field(ge=1, lt=1 << 16)] = 1


def require_own(values: Mapping[str, Any]) -> None:
    """Raise QsmError for values, by key without its prefix, that are not as we write them."""
    try:
        _Own.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        text = f"the meta of an image was changed on the way: {where}: {problem['msg']}"
        raise QsmError(text) from error
