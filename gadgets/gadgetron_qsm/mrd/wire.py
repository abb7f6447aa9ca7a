"""Messages from bytes (layout: ismrmrd.h, mrd_messages.md, Gadgetron's MessageID.h)."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.aggregates import read_bucket, read_image_array, read_recon_data
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Acquisition,
    Close,
    ConfigFile,
    ConfigText,
    DicomFile,
    Error,
    HeaderText,
    Image,
    Message,
    MessageId,
    Query,
    Response,
    Text,
    Waveform,
)
from gadgetron_qsm.mrd.primitives import (
    LARGEST_DICOM,
    LARGEST_XML,
    NoClose,
    PeerGone,
    bounded,
    exactly,
    kind_of_next,
    number,
    record,
    text,
)
from gadgetron_qsm.mrd.writing import (
    CONFIG_FILE_SIZE,
    PIXEL_TYPES,
    RESERVED,
    image_head,
    write_message,
)

__all__ = [
    "PIXEL_TYPES",
    "NoClose",
    "PeerGone",
    "image_head",
    "read_body",
    "read_message",
    "write_message",
]

_WIDEST = Limits()
_LONGEST_KEY = 1 << 10  # bytes, of a query


def read_message(stream: BinaryIO, limits: Limits = _WIDEST) -> Message:
    """Read the next message of a buffered binary stream; arrays are read-only views of its bytes.

    Raises PeerGone when the stream ends before the message does (NoClose: in front of it), QsmError
    for what is no message, or is larger than the limits, before it is read.
    """
    return read_body(kind_of_next(stream), stream, limits)


def read_body(kind: int, stream: BinaryIO, limits: Limits = _WIDEST) -> Message:
    """Read what is behind the kind of a message; raise as `read_message` does."""
    reader = _READERS.get(kind)
    if reader is None:
        raise QsmError(f"messages of kind {kind} are not supported; the stream cannot be read on")
    return reader(stream, limits)


def _read_config_file(stream: BinaryIO, _: Limits) -> ConfigFile:
    name = exactly(stream, CONFIG_FILE_SIZE, "the configuration's name")
    return ConfigFile(name.partition(b"\0")[0].decode("utf-8", errors="replace"))


def _read_query(stream: BinaryIO, _: Limits) -> Query:
    what = "a query"
    exactly(stream, RESERVED, what)
    return Query(number(stream, "<u8", what), text(stream, "<u8", what, _LONGEST_KEY))


def _read_response(stream: BinaryIO, _: Limits) -> Response:
    what = "the answer to a query"
    return Response(number(stream, "<u8", what), text(stream, "<u8", what))


def _read_acquisition(stream: BinaryIO, limits: Limits) -> Acquisition:
    what = "a readout"
    head = record(stream, ACQUISITION_HEADER, what)
    channels, samples = int(head["active_channels"]), int(head["number_of_samples"])
    dimensions = int(head["trajectory_dimensions"])
    size = bounded(8 * channels * samples, limits.readout, what)
    trajectory = None
    if dimensions:
        points = exactly(stream, bounded(4 * samples * dimensions, limits.readout, what), what)
        trajectory = np.frombuffer(points, np.float32).reshape(samples, dimensions)
    data = np.frombuffer(exactly(stream, size, what), np.complex64)
    return Acquisition(head, data.reshape(channels, samples), trajectory)


def _read_waveform(stream: BinaryIO, limits: Limits) -> Waveform:
    head = record(stream, WAVEFORM_HEADER, "a waveform")
    shape = int(head["channels"]), int(head["number_of_samples"])
    size = bounded(4 * shape[0] * shape[1], limits.readout, "a waveform")
    data = np.frombuffer(exactly(stream, size, "a waveform"), np.uint32)
    return Waveform(head, data.reshape(shape))


def _read_image(stream: BinaryIO, limits: Limits) -> Image:
    what = "an image"
    head = record(stream, IMAGE_HEADER, what)
    meta = text(stream, "<u8", what)
    dtype = PIXEL_TYPES.get(int(head["data_type"]))
    if dtype is None:
        raise QsmError(f"an image has the unknown pixel type {head['data_type']}")
    x, y, z = head["matrix_size"].tolist()
    channels = int(head["channels"])
    size = bounded(channels * z * y * x * dtype.itemsize, limits.image, what)
    data = np.frombuffer(exactly(stream, size, what), dtype)
    return Image(head, data.reshape(channels, z, y, x), meta)


def _read_dicom(stream: BinaryIO, _: Limits) -> DicomFile:
    what = "a DICOM file"
    size = bounded(number(stream, "<u4", what), LARGEST_DICOM, what)
    data = exactly(stream, size, what)
    return DicomFile(data, text(stream, "<u8", what), text(stream, "<u8", what))


_READERS: dict[int, Callable[[BinaryIO, Limits], Message]] = {
    MessageId.CONFIG_FILE: _read_config_file,
    MessageId.CONFIG_TEXT: lambda s, _: ConfigText(
        text(s, "<u4", "the configuration", LARGEST_XML)
    ),
    MessageId.HEADER: lambda s, _: HeaderText(text(s, "<u4", "the MRD header", LARGEST_XML)),
    MessageId.CLOSE: lambda *_: Close(),
    MessageId.TEXT: lambda s, _: Text(text(s, "<u4", "a text")),
    MessageId.ERROR: lambda s, _: Error(text(s, "<u8", "an error message")),
    MessageId.QUERY: _read_query,
    MessageId.RESPONSE: _read_response,
    MessageId.ACQUISITION: _read_acquisition,
    MessageId.DICOM: _read_dicom,
    MessageId.WAVEFORM: _read_waveform,
    MessageId.IMAGE: _read_image,
    MessageId.RECON_DATA: read_recon_data,
    MessageId.IMAGE_ARRAY: read_image_array,
    MessageId.BUCKET: read_bucket,
}
