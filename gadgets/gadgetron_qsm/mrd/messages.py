"""The messages of an MRD stream, as Python objects (standards: ismrmrd.h, mrd_messages.md).

Headers are numpy records with the field names of ismrmrd.h, as a view of the bytes received.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from ismrmrd.hdf5 import (
    acquisition_header_dtype,
    image_header_dtype,
    waveform_header_dtype,
)
from numpy.typing import NDArray

HEALTH = "gadgetron-qsm::health"  # the key of a query: our own server answers with JSON

Record = Any  # numpy.void of one of the three types below

ACQUISITION_HEADER = acquisition_header_dtype
IMAGE_HEADER = image_header_dtype
WAVEFORM_HEADER = waveform_header_dtype


class MessageId(IntEnum):
    """The uint16 in front of every message."""

    CONFIG_FILE = 1
    CONFIG_TEXT = 2
    HEADER = 3
    CLOSE = 4
    TEXT = 5
    QUERY = 6
    RESPONSE = 7
    ERROR = 8
    ACQUISITION = 1008
    DICOM = 1018
    IMAGE = 1022
    RECON_DATA = 1023
    IMAGE_ARRAY = 1024
    WAVEFORM = 1026
    BUCKET = 1050


@dataclass(frozen=True)
class ConfigFile:
    """The name of a configuration that the receiver has."""

    name: str


@dataclass(frozen=True)
class ConfigText:
    """A configuration as XML."""

    text: str


@dataclass(frozen=True)
class HeaderText:
    """The MRD header of the scan as XML."""

    text: str


@dataclass(frozen=True)
class Close:
    """The sender has nothing more to say."""


@dataclass(frozen=True)
class Text:
    """A line for the log, or parameters as JSON (OpenRecon)."""

    text: str


@dataclass(frozen=True)
class Query:
    """A question to a server, by a key as in 'gadgetron::version'; its answer has its number."""

    number: int
    key: str


@dataclass(frozen=True)
class Response:
    """The answer to the query of that number."""

    number: int
    text: str


@dataclass(frozen=True)
class Error:
    """Gadgetron only: why the stream ended."""

    text: str


@dataclass(frozen=True)
class Acquisition:
    """One readout: head (ACQUISITION_HEADER), data (coil, sample) complex64."""

    head: Record
    data: NDArray[np.complex64]
    trajectory: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Waveform:
    """Physiological or other samples beside the scan: head (WAVEFORM_HEADER), data (channel, t)."""

    head: Record
    data: NDArray[np.uint32]


@dataclass(frozen=True)
class Image:
    """head (IMAGE_HEADER), data (channel, z, y, x) of any MRD pixel type, meta: attribute XML."""

    head: Record
    data: NDArray[Any]
    meta: str = ""


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file: data is the whole of it, preamble and meta header too; meta: attribute XML.

    `name` is without folder and ending, of which Gadgetron's client makes a name with '.dcm'. One
    that was received may be anything: no path is to be made of it unseen.
    """

    data: bytes
    name: str
    meta: str = ""


@dataclass(frozen=True)
class Bucket:
    """Gadgetron's AcquisitionBucket: the readouts of one trigger."""

    data: list[Acquisition]
    reference: list[Acquisition]
    waveforms: list[Waveform] = field(default_factory=list)


@dataclass(frozen=True)
class ReconBuffer:
    """data (E0, E1, E2, coil, N, S, LOC) complex64; headers (E1, E2, N, S, LOC) records.

    `sampling` has encoded_fov, recon_fov (mm), encoded_matrix, recon_matrix (each x, y, z) and
    limits (3 rows of min, center, max).
    """

    data: NDArray[np.complex64]
    headers: NDArray[Any]
    sampling: Record


@dataclass(frozen=True)
class ReconData:
    """Gadgetron's IsmrmrdReconData: per encoding space the data, and reference lines if any."""

    bits: list[tuple[ReconBuffer, ReconBuffer | None]]


@dataclass(frozen=True)
class ImageArray:
    """data (x, y, z, channel, N, S, LOC) complex64; headers (N, S, LOC) records; meta XML each."""

    data: NDArray[np.complex64]
    headers: NDArray[Any]
    meta: list[str]


Message = (
    ConfigFile | ConfigText | HeaderText | Close | Text | Query | Response | Error
    | Acquisition | Waveform | Image | DicomFile | Bucket | ReconData | ImageArray
)  # fmt: skip
