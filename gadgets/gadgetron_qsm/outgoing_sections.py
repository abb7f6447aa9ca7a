"""The sections of the settings that are about what leaves: maps, objects, whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from gadgetron_qsm.delivery.nodes import Node, check_title
from gadgetron_qsm.dicom.templates import HARMLESS, USER, fields, unfit
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.sections import Section, told

MapName = Literal[
    "chi",
    "r2star",
    "magnitude",
    "total_field",
    "local_field",
    "mask",
    "csf",
    "g_factor",
    "t2star",
    "chi_positive",
    "chi_negative",
    "swi",
    "swi_mip",
    "tswi",
    "smwi",
    "phase",
    "noise",
]


class DeliverSettings(Section):
    """What goes to the console."""

    maps: tuple[MapName, ...] = Field(
        ("chi", "r2star", "magnitude"),
        min_length=1,
        description="maps sent back, names separated by commas",
    )
    image_maps: tuple[MapName, ...] = Field(
        (), description="maps sent back besides, as images alone: no folder and no archive has them"
    )
    dicom_folder: Path | None = Field(
        None, description="folder where the chosen maps are written as DICOM series too"
    )
    report_folder: Path | None = Field(
        None,
        description="folder where each scan leaves a report: "
        "report.json, provenance.json, a picture, a page",
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

    @model_validator(mode="after")
    def _chi_for_regions(self) -> DeliverSettings:
        if (self.segmentation or self.measurements) and "chi" not in self.maps:
            raise ValueError(
                "segmentation and measurements refer to the images of chi; add chi to deliver.maps"
            )
        return self


PatientPosition = Literal["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"]
SHORTEST_KEY = 16  # characters: fewer could be found by trying


class IdentitySettings(Section):
    """Whose the images are where the scan's header leaves it out, and de-identification.

    Most are texts used where the header has nothing, with {fields} of the header in braces; see
    dicom.templates for the fields. A text with a field that the header lacks is not used.
    """

    patient_name: str | None = Field(None, description="PatientName without one in the header")
    patient_id: str | None = Field(None, description="PatientID without one, as in {user.Subject}")
    patient_birth_date: str | None = Field(
        None, description="PatientBirthDate without one, YYYYMMDD"
    )
    patient_sex: str | None = Field(None, description="PatientSex without one: M, F or O")
    study_uid: str | None = Field(None, description="StudyInstanceUID without one")
    study_key: str | None = Field(
        None,
        description="scans of one scanner without StudyInstanceUID that share this text are one "
        "study; {exam} after siemens_to_ismrmrd",
    )
    study_date: str | None = Field(
        None, description="StudyDate without one, YYYYMMDD, as in {series_date}"
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
        False,
        description="DICOM objects by the basic profile of PS3.15 annex E, and replay's images.h5; "
        "needs a key",
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
        "patient_birth_date",
        "patient_sex",
        "study_uid",
        "study_key",
        "study_date",
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
        if template and not named and (problem := unfit(str(info.field_name), template)):
            raise ValueError(f"{info.field_name} does not fit: {problem}")
        return template

    @field_validator("patient_position", mode="before")
    @classmethod
    def _capital(cls, term: Any) -> Any:
        return term.upper() if isinstance(term, str) else term

    @model_validator(mode="after")
    def _secret(self) -> IdentitySettings:
        if self.key and self.key_file:
            raise ValueError("identity.key and identity.key_file are both given; leave one out")
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


class StoreSettings(Section):
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
    commitment_tls: bool = Field(
        False, description="archives report over TLS, to our certificate_file"
    )
    outbox: Path | None = Field(
        None, description="folder of objects that wait; default in the user's state folder"
    )
    give_up_days: float = Field(
        7.0, gt=0, le=3650, description="until an object that an archive does not take is put aside"
    )

    @field_validator("nodes")
    @classmethod
    def _names(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        with told():
            names = [Node.parse(text).name for text in nodes]
        if len(set(names)) < len(names):
            raise ValueError("two nodes have the same name; give each its own")
        return nodes

    @field_validator("calling_title")
    @classmethod
    def _title(cls, title: str) -> str:
        with told():
            check_title(title)
        return title

    @model_validator(mode="after")
    def _shown(self) -> StoreSettings:
        if self.commitment_tls and not self.certificate_file:
            raise ValueError("commitment_tls needs a certificate of ours, store.certificate_file")
        return self
