"""The sections of the settings, one a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gadgetron_qsm import background, contrast, field, inversion, mask
from gadgetron_qsm.dicom.templates import HARMLESS, USER, fields
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
    "phase",
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


PatientPosition = Literal["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"]
SHORTEST_KEY = 16  # characters: fewer could be found by trying


class IdentitySettings(_Stage):
    """Whose the images are where the scan's header leaves it out, and de-identification.

    Most are texts used where the header has nothing, with {fields} of the header in braces; see
    dicom.templates for the fields. A text with a field that the header lacks is not used.
    """

    patient_name: str | None = Field(None, description="PatientName without one in the header")
    patient_id: str | None = Field(None, description="PatientID without one, as in {user.Subject}")
    study_uid: str | None = Field(None, description="StudyInstanceUID without one")
    study_key: str | None = Field(
        None,
        description="scans of one scanner without StudyInstanceUID that share this text are one "
        "study; {exam} after siemens_to_ismrmrd",
    )
    study_id: str | None = Field(None, description="StudyID without one")
    accession_number: str | None = Field(None, description="AccessionNumber without one")
    study_description: str | None = Field(None, description="StudyDescription without one")
    patient_position: PatientPosition | None = Field(
        None, description="PatientPosition without one: HFS, HFP, HFDR, HFDL, FFS, FFP, FFDR, FFDL"
    )
    frame_uid: str | None = Field(None, description="FrameOfReferenceUID without one")
    override: bool = Field(False, description="the texts above hold against the header too")
    missing: Literal["empty", "made", "refuse"] = Field(
        "empty",
        description="without PatientID or study: leave it empty, make one of the scan, or refuse",
    )
    series_offset: int = Field(
        1_000_000,
        ge=10_000,
        le=100_000_000,
        multiple_of=1000,
        description="number that those of our series are above",
    )
    deidentify: bool = Field(
        False, description="DICOM objects by the basic profile of PS3.15 annex E; needs a key"
    )
    key: SecretStr | None = Field(
        None, description="secret of the site that pseudonyms and UIDs are made with"
    )
    key_file: Path | None = Field(None, description="file that holds the key, instead of it")
    keep_device: bool = Field(False, description="retain device identity: station, serial number")
    keep_dates: bool = Field(False, description="retain dates and times in full")
    keep_patient: bool = Field(False, description="retain sex, age, weight and height")

    @field_validator(
        "patient_name",
        "patient_id",
        "study_uid",
        "study_key",
        "study_id",
        "accession_number",
        "study_description",
        "frame_uid",
    )
    @classmethod
    def _filled_in(cls, template: str | None, info: ValidationInfo) -> str | None:
        try:
            named = fields(template or "")
        except UsageError as error:
            raise ValueError(f"{info.field_name} {error}") from error
        if info.field_name == "study_key" and template and not named:
            raise ValueError("study_key has no {field}: all patients would share one study")
        return template

    @field_validator("patient_position", mode="before")
    @classmethod
    def _capital(cls, term: Any) -> Any:
        return term.upper() if isinstance(term, str) else term

    @model_validator(mode="after")
    def _secret(self) -> IdentitySettings:
        if not self.deidentify:
            return self
        if (
            not self.key_file
            and len(self.key.get_secret_value() if self.key else "") < SHORTEST_KEY
        ):
            raise ValueError(
                f"deidentify needs identity.key, a secret of {SHORTEST_KEY} characters or more, "
                "or identity.key_file"
            )
        for name in ("patient_name", "patient_id"):
            for named in fields(getattr(self, name) or ""):
                if named not in HARMLESS and not named.startswith(USER):
                    raise ValueError(f"{name} names {{{named}}}, which deidentify must not keep")
        return self


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
    segmentation: bool = Field(
        False, description="write brain and CSF masks as a DICOM Segmentation beside chi's series"
    )
    measurements: bool = Field(
        False, description="write a DICOM report of chi in those regions, and the Segmentation"
    )
    form: Literal["classic", "rescaled", "enhanced", "parametric"] = Field(
        "classic",
        description="of DICOM: MR images a slice each, signed or 12-bit with a rescale; Enhanced "
        "MR; Parametric Map of floats",
    )
    field_unit: Literal["ppb", "Hz"] = Field("ppb", description="of the total and local field")
    image_pixels: Literal["float32", "int16", "uint12"] = Field(
        "float32",
        description="pixels of the images sent back; uint12: 0 to 4095, for a scanner's injector; "
        "int16: a Gadgetron needs the reader MRIImageReader for them",
    )
    image_slices: bool = Field(
        False, description="send each slice as an image of its own instead of whole volumes"
    )
    console: Literal["images", "dicom", "both"] = Field(
        "images",
        description="what our own server sends back: MRD images, DICOM messages (1018), or both; "
        "a Gadgetron takes images alone",
    )
