"""What our own meta keys of an image hold: checked, because it may have been changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from gadgetron_qsm.errors import QsmError

MOST = 100  # stages, or figures of quality
LONGEST_WHERE = 100  # characters of where something is wrong, which quotes what came

UInt32 = Annotated[int, Field(ge=0, lt=1 << 32)]
Triple = Annotated[tuple[float, float, float], Strict(False)]  # JSON has lists alone
Name = Annotated[str, Field(max_length=64)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Scan(_Checked):
    """Of header.fingerprint."""

    model_config = ConfigDict(extra="allow")

    measurement_uid: UInt32 = 0
    first_time_stamp: UInt32 = 0
    table_position_mm: Triple = (0, 0, 0)


class _Provenance(_Checked):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    scan: _Scan = _Scan()


class _Report(_Checked):
    """Of Journal.report."""

    provenance: _Provenance = _Provenance()
    timing_s: dict[Name, float] = Field(default_factory=dict, max_length=MOST)
    quality: dict[Name, Any] = Field(default_factory=dict, max_length=MOST)
    warnings: list[str] = Field(default_factory=list)


class _Geometry(_Checked):
    model_config = ConfigDict(extra="forbid")

    matrix: Annotated[tuple[int, int, int], Strict(False)]
    voxel_size: Triple
    position: Triple
    read_dir: Triple
    phase_dir: Triple
    slice_dir: Triple


class _Own(_Checked):
    geometry: _Geometry | None = None
    report: _Report = _Report()
    g_factor: bool = False
    map: str = ""
    unit: str = ""
    echo: Annotated[int, Field(ge=0, lt=1 << 16)] | None = None
    echo_time_s: float | None = None
    slices: Annotated[int, Field(ge=1, lt=1 << 16)] = 1


def read_own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values, by key without its prefix, that we write.

    Raises QsmError for one that is not as we write it.
    """
    try:
        return _Own.model_validate(values).model_dump(exclude_unset=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])[:LONGEST_WHERE]
        text = f"the meta of an image was changed on the way: {where}: {problem['msg']}"
        raise QsmError(text) from error
