"""The sections of the settings, one a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from gadgetron_qsm import background, contrast, field, inversion, mask
from gadgetron_qsm.delivery.nodes import Node, check_title
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.methods import Method, chosen, effective

MapName = Literal[
    "chi",
    "r2star",
    "magnitude",
    "total_field",
    "local_field",
    "mask",
    "g_factor",
    "t2star",
    "chi_positive",
    "chi_negative",
    "swi",
    "swi_mip",
    "tswi",
    "smwi",
]


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MethodSettings(_Stage):
    """A method, by its name in a package's table, and its parameters.

    Parameters that are not given keep the defaults of the method's signature.
    """

    METHODS: ClassVar[Mapping[str, Method]] = {}

    method: str
    parameters: dict[str, Any] = Field(default_factory=dict)

    @field_validator("method")
    @classmethod
    def _there(cls, name: str) -> str:
        with _told():
            chosen(cls.METHODS, name)
        return name

    @field_validator("parameters")
    @classmethod
    def _checked(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "method" not in info.data:  # which has been refused
            return given
        with _told():
            every = effective(cls.METHODS[info.data["method"]], given)
        return {name: every[name] for name in given}

    def complete(self) -> dict[str, Any]:
        """Return every parameter of the method with its value."""
        return effective(self.METHODS[self.method], self.parameters)


@contextmanager
def _told() -> Iterator[None]:
    """Hand what is wrong to pydantic, which takes ValueError alone."""
    try:
        yield
    except UsageError as error:
        raise ValueError(str(error)) from error


class DeviceSettings(_Stage):
    """Where the chain computes."""

    use: Literal["auto", "gpu", "cpu"] = Field(
        "auto", description="auto: on the GPU where CuPy finds one, or else on the CPU"
    )
    number: int = Field(0, ge=0, le=63, description="of the CUDA device, from 0")
    memory_gb: float | None = Field(
        None, gt=0, description="most memory on the device; default all that is free"
    )


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


class FieldSettings(MethodSettings):
    """Phase of the echoes to the total field.

    auto: romeo, or for a single echo laplacian, since a virtual reference coil may leave open-ended
    fringe lines, along which no path is right.
    """

    METHODS: ClassVar[Mapping[str, Method]] = {"auto": field.METHODS["romeo"], **field.METHODS}
    method: str = "auto"

    def of(self, echoes: int) -> FieldSettings:
        """Return the settings for that many echoes, auto no more."""
        if self.method != "auto":
            return self
        name = "romeo" if echoes > 1 else "laplacian"
        return FieldSettings(method=name, parameters=self.parameters)


class MaskSettings(MethodSettings):
    """Where the map is valid."""

    METHODS = mask.METHODS
    method: str = "bet"
    two_pass: bool = Field(
        False, description="invert twice, so that strong sources are neither holes nor streaks"
    )


class BackgroundSettings(MethodSettings):
    """Background field removal; not used when the inversion takes the total field."""

    METHODS = background.METHODS
    method: str = "vsharp"


class InversionSettings(MethodSettings):
    """Dipole inversion, of the local field or, in a single step, of the total field."""

    METHODS: ClassVar[Mapping[str, Method]] = {**inversion.METHODS, **inversion.SINGLE_STEP}
    method: str = "ss_tv"

    @property
    def single_step(self) -> bool:
        """Whether the method takes the total field."""
        return self.method in inversion.SINGLE_STEP


class ReferenceSettings(_Stage):
    """What susceptibility is relative to."""

    region: Literal["brain", "csf"] = Field(
        "brain", description="region whose mean is 0: the brain mask, or CSF of the ventricles"
    )


class R2starSettings(MethodSettings):
    """R2* and T2* maps."""

    METHODS = contrast.R2STAR
    method: str = "weighted_log"


class SwiSettings(MethodSettings):
    """Susceptibility-weighted image."""

    METHODS = contrast.SWI
    method: str = "swi"


class SeparationSettings(MethodSettings):
    """Positive and negative susceptibility."""

    METHODS = contrast.SEPARATION
    method: str = "r2star_qsm"


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


class StoreSettings(_Stage):
    """Where DICOM objects are sent: C-STORE to archives, through an outbox on disk."""

    nodes: tuple[str, ...] = Field(
        (),
        description="archives, [NAME=][tls:]TITLE@HOST:PORT, separated by commas; none: no sending",
    )
    calling_title: str = Field("GADGETRON_QSM", description="our own application entity title")
    ca_file: Path | None = Field(
        None, description="TLS: certificates of authorities to believe; default the system's"
    )
    certificate_file: Path | None = Field(None, description="TLS: our own certificate, PEM")
    key_file: Path | None = Field(None, description="TLS: the key of our own certificate, PEM")
    timeout_s: float = Field(30.0, gt=0, le=600, description="for each answer of an archive")
    commitment: bool = Field(
        False, description="keep objects until the archive promises to keep them"
    )
    commitment_host: str = Field(
        "127.0.0.1", description="our address that archives report their promises to"
    )
    commitment_port: int = Field(11113, ge=1, le=65535, description="and its port")
    outbox: Path | None = Field(
        None, description="folder of objects that wait; default in the user's state folder"
    )
    give_up_days: float = Field(
        7.0, gt=0, le=3650, description="until an object that an archive does not take is put aside"
    )

    @field_validator("nodes")
    @classmethod
    def _names(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        with _told():
            names = [Node.parse(text).name for text in nodes]
        if len(set(names)) < len(names):
            raise ValueError("two nodes have the same name; give each its own")
        return nodes

    @field_validator("calling_title")
    @classmethod
    def _title(cls, title: str) -> str:
        with _told():
            check_title(title)
        return title
