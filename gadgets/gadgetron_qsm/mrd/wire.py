"""Messages from and to bytes (layout: ismrmrd.h, mrd_messages.md, Gadgetron's MessageID.h)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

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
    Record,
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

__all__ = ["PIXEL_TYPES", "NoClose", "PeerGone", "image_head", "read_message", "write_message"]

PIXEL_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<u2"),
    2: np.dtype("<i2"),
    3: np.dtype("<u4"),
    4: np.dtype("<i4"),
    5: np.dtype("<f4"),
    6: np.dtype("<f8"),
    7: np.dtype("<c8"),
    8: np.dtype("<c16"),
}
_DATA_TYPES = {dtype: number for number, dtype in PIXEL_TYPES.items()}
_CONFIG_FILE_SIZE = 1024
_WIDEST = Limits()
_LONGEST_KEY = 1 << 10  # bytes, of a query
_RESERVED = 8  # bytes in front of a query, which are 0


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


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message; raise QsmError for a kind that is only ever received.

    Raises ValueError when a header does not fit its data: the bytes behind it would be misread.
    """
    writer = _WRITERS.get(type(message))
    if writer is None:
        raise QsmError(f"messages of type {type(message).__name__} cannot be sent")
    writer(stream, message)


def image_head(image: Image) -> Record:
    """Return the header of an image with the fields that its pixels and meta decide."""
    if image.data.ndim != 4 or image.data.dtype not in _DATA_TYPES:
        raise QsmError(f"{image.data.ndim}-D {image.data.dtype} pixels are no MRD image")
    head = image.head.copy()  # np.array(record) would be a view of it
    head["data_type"] = _DATA_TYPES[image.data.dtype]
    head["channels"] = image.data.shape[0]
    head["matrix_size"] = image.data.shape[:0:-1]
    head["attribute_string_len"] = len(_utf8(image.meta))
    return head


def _read_config_file(stream: BinaryIO, _: Limits) -> ConfigFile:
    name = exactly(stream, _CONFIG_FILE_SIZE, "the configuration's name")
    return ConfigFile(name.partition(b"\0")[0].decode("utf-8", errors="replace"))


def _read_query(stream: BinaryIO, _: Limits) -> Query:
    what = "a query"
    exactly(stream, _RESERVED, what)
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


def _kind(kind: MessageId) -> bytes:
    return kind.to_bytes(2, "little")


def _utf8(text: str) -> bytes:
    """Encode a text. Half of a surrogate pair, as JSON may have it and we quote, is written out."""
    return text.encode("utf-8", "backslashreplace")


def _write_config_file(stream: BinaryIO, config: ConfigFile) -> None:
    name = _utf8(config.name)
    if len(name) >= _CONFIG_FILE_SIZE:
        raise QsmError(f"a configuration's name has at most {_CONFIG_FILE_SIZE - 1} bytes")
    stream.write(_kind(MessageId.CONFIG_FILE) + name.ljust(_CONFIG_FILE_SIZE, b"\0"))


def _text_writer(kind: MessageId, length_bytes: int) -> Callable[[BinaryIO, Any], None]:
    def write(stream: BinaryIO, message: Any) -> None:
        encoded = _utf8(message.text)
        stream.write(_kind(kind) + len(encoded).to_bytes(length_bytes, "little") + encoded)

    return write


def _write_query(stream: BinaryIO, query: Query) -> None:
    stream.write(_kind(MessageId.QUERY) + bytes(_RESERVED))
    _write_numbered(stream, query.number, query.key)


def _write_response(stream: BinaryIO, response: Response) -> None:
    stream.write(_kind(MessageId.RESPONSE))
    _write_numbered(stream, response.number, response.text)


def _write_numbered(stream: BinaryIO, number: int, value: str) -> None:
    encoded = _utf8(value)
    stream.write(number.to_bytes(8, "little") + len(encoded).to_bytes(8, "little") + encoded)


def _write_close(stream: BinaryIO, _: Close) -> None:
    stream.write(_kind(MessageId.CLOSE))


def _write_acquisition(stream: BinaryIO, acquisition: Acquisition) -> None:
    head, data, trajectory = acquisition.head, acquisition.data, acquisition.trajectory
    samples, dimensions = head["number_of_samples"], head["trajectory_dimensions"]
    _require(data.shape == (head["active_channels"], samples))
    stream.write(_kind(MessageId.ACQUISITION) + head.tobytes())
    if trajectory is None:
        _require(dimensions == 0)
    else:
        _require(trajectory.shape == (samples, dimensions))
        stream.write(np.ascontiguousarray(trajectory, np.float32).data)
    stream.write(np.ascontiguousarray(data, np.complex64).data)


def _write_waveform(stream: BinaryIO, waveform: Waveform) -> None:
    head = waveform.head
    _require(waveform.data.shape == (head["channels"], head["number_of_samples"]))
    stream.write(_kind(MessageId.WAVEFORM) + head.tobytes())
    stream.write(np.ascontiguousarray(waveform.data, np.uint32).data)


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("the header does not fit the data behind it")


def _write_image(stream: BinaryIO, image: Image) -> None:
    meta = _utf8(image.meta)
    stream.write(_kind(MessageId.IMAGE) + image_head(image).tobytes())
    stream.write(len(meta).to_bytes(8, "little") + meta)
    stream.write(np.ascontiguousarray(image.data).data)


def _write_dicom(stream: BinaryIO, file: DicomFile) -> None:
    """Write what Gadgetron's DicomImageWriter writes; both texts are there, if only their size."""
    if len(file.data) > LARGEST_DICOM:
        raise QsmError(
            f"a DICOM file of {len(file.data)} bytes is too large for a message (at most "
            f"{LARGEST_DICOM}); deliver it to a folder or an archive"
        )
    stream.write(_kind(MessageId.DICOM) + len(file.data).to_bytes(4, "little"))
    stream.write(file.data)
    for value in (_utf8(file.name), _utf8(file.meta)):
        stream.write(len(value).to_bytes(8, "little") + value)


_WRITERS: dict[type, Callable[[BinaryIO, Any], None]] = {
    ConfigFile: _write_config_file,
    ConfigText: _text_writer(MessageId.CONFIG_TEXT, 4),
    HeaderText: _text_writer(MessageId.HEADER, 4),
    Close: _write_close,
    Text: _text_writer(MessageId.TEXT, 4),
    Query: _write_query,
    Response: _write_response,
    Error: _text_writer(MessageId.ERROR, 8),
    Acquisition: _write_acquisition,
    Waveform: _write_waveform,
    Image: _write_image,
    DicomFile: _write_dicom,
}
