"""Every parameter of the chain: type, unit, default, range. Key: stage.key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gadgetron_qsm.errors import UsageError

MapName = Literal["chi", "r2star", "magnitude", "total_field", "local_field", "mask", "g_factor"]


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KSpaceSettings(_Stage):
    """Readouts to coil images."""

    incomplete: Literal["refuse", "warn"] = Field(
        "refuse", description="what to do when lines are missing that should have come"
    )
    compression: Literal["gcc", "svd", "none"] = Field(
        "gcc",
        description="virtual coils of 3D scans: a set each readout position, one set, or the coils",
    )
    virtual_coils: int | None = Field(
        None, ge=1, le=1024, description="number of virtual coils; default by kept_energy"
    )
    kept_energy: float = Field(
        0.998, gt=0.5, le=1, description="part of the signal's energy that virtual coils keep"
    )
    parallel_imaging: Literal["auto", "grappa", "sense"] = Field(
        "auto", description="auto: GRAPPA for lattices; sense takes irregular sampling too"
    )
    kernels: Literal["all_echoes", "each_echo"] = Field(
        "all_echoes", description="GRAPPA kernels: one set, or one an echo"
    )
    partial_fourier: Literal["zero", "pocs"] = Field(
        "zero", description="k-space that was not acquired: zeros, or POCS"
    )
    reversed_echoes: Literal["flagged", "even", "odd"] = Field(
        "flagged", description="echoes read backwards: those flagged, or 2, 4 ..., or 1, 3 ..."
    )
    odd_even: Literal["correct", "leave"] = Field(
        "correct", description="phase between odd and even echoes of bipolar readouts"
    )
    memory_gb: float | None = Field(
        None, gt=0, description="most memory for a scan; default what is free"
    )


class CoilsSettings(_Stage):
    """Coil combination."""

    method: Literal["auto", "mcpc3ds", "vrc"] = Field(
        "auto", description="auto: mcpc3ds, or vrc (virtual reference coil) for a single echo"
    )
    phase_sign: Literal[1, -1] = Field(
        1, description="-1 for data whose phase falls with time in a positive field (GE)"
    )
    smoothing_mm: float = Field(6.0, gt=0, le=50, description="SD of the sensitivities' Gaussian")


class MaskSettings(_Stage):
    """Brain mask (brain_mask)."""

    opening_mm: float = Field(12.0, gt=0, le=30, description="erosion that cuts off the scalp")
    closing_mm: float = Field(2.0, ge=0, le=20, description="gaps that are closed")
    largest_residual_rad: float = Field(
        0.3, gt=0, le=3.2, description="echo-fit residual above which phase is not trusted"
    )


class BackgroundSettings(_Stage):
    """Background field removal."""

    method: Literal["vsharp"] = Field("vsharp", description="how the background is removed")
    largest_radius_mm: float = Field(10.0, gt=0, le=40, description="largest sphere")
    smallest_radius_mm: float | None = Field(
        None, gt=0, le=40, description="smallest sphere; default one voxel"
    )
    threshold: float = Field(0.08, gt=0, lt=1, description="truncation of the deconvolution")


class InversionSettings(_Stage):
    """Dipole inversion."""

    method: Literal["tv"] = Field("tv", description="how the dipole field is inverted")
    regularisation: float = Field(1e-4, gt=0, le=1, description="weight of total variation, ppm")
    iterations: int = Field(40, ge=1, le=10000, description="steps of ADMM")
    padding_mm: float = Field(20.0, ge=0, le=200, description="zeros that lengthen every axis")


class DeliverSettings(_Stage):
    """What goes to the console."""

    maps: tuple[MapName, ...] = Field(
        ("chi", "r2star", "magnitude"),
        min_length=1,
        description="maps sent back, names separated by commas",
    )
    dicom_folder: Path | None = Field(
        None, description="folder where the chosen maps are written as DICOM series too"
    )


class Settings(BaseModel):
    """All settings, a section a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["standard"] = "standard"
    kspace: KSpaceSettings = KSpaceSettings()
    coils: CoilsSettings = CoilsSettings()
    mask: MaskSettings = MaskSettings()
    background: BackgroundSettings = BackgroundSettings()
    inversion: InversionSettings = InversionSettings()
    deliver: DeliverSettings = DeliverSettings()

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Settings:
        """Build from texts by key, as configurations and --set give them.

        Raises UsageError that names the key, what is wrong with its value, or the nearest key.
        """
        sections: dict[str, object] = {}
        for key, text in properties.items():
            if key not in keys():
                raise UsageError(f"unknown setting '{key}'{_nearest(key)}")
            stage, _, name = key.rpartition(".")
            value = _value(key, text)
            if stage:
                sections.setdefault(stage, {})[name] = value  # type: ignore[index]
            else:
                sections[name] = value
        try:
            return cls.model_validate(sections)
        except ValidationError as error:
            raise UsageError(_first_problem(error)) from error

    @classmethod
    def described(cls) -> Iterator[tuple[str, str]]:
        """Give every key with its default and what it is."""
        for name, section in cls.model_fields.items():
            if isinstance(section.default, BaseModel):
                for key, field in type(section.default).model_fields.items():
                    choices = "|".join(str(choice) for choice in get_args(field.annotation))
                    literal = get_origin(field.annotation) is Literal
                    among = f" of {choices}" if literal and "|" in choices else ""
                    yield f"{name}.{key}", f"{field.default}{among}; {field.description}"
            else:
                yield name, f"{section.default}; a set of defaults, the only one so far"


def keys() -> list[str]:
    """Return every key, as in 'inversion.iterations'."""
    return [key for key, _ in Settings.described()]


def _value(key: str, text: str) -> object:
    if key == "deliver.maps":
        return [name.strip() for name in text.split(",") if name.strip()]
    if key == "coils.phase_sign":
        return {"1": 1, "+1": 1, "-1": -1}.get(text.strip(), text)
    return text.strip() or None


def _nearest(key: str) -> str:
    near = [name for name in keys() if name.endswith(f".{key}")]
    near = near or difflib.get_close_matches(key, keys(), n=1, cutoff=0.7)
    if near:
        return f"; did you mean '{near[0]}'?"
    stage = key.partition(".")[0]
    of_stage = [name for name in keys() if name.startswith(f"{stage}.")]
    return (
        f"; there are {', '.join(of_stage)}" if of_stage else "; 'gadgetron-qsm check' lists them"
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    return f"setting '{key}' = {problem['input']!r}: {problem['msg'].lower()}"
