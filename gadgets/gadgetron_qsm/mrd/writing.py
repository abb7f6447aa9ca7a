"""Messages to bytes (layout: ismrmrd.h, mrd_messages.md, Gadgetron's MessageID.h)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
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
from gadgetron_qsm.mrd.primitives import LARGEST_DICOM

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
CONFIG_FILE_SIZE = 1024
RESERVED = 8  # bytes in front of a query, which are 0


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


def _kind(kind: MessageId) -> bytes:
    return kind.to_bytes(2, "little")


def _utf8(text: str) -> bytes:
    """Encode a text. Half of a surrogate pair, as JSON may have it and we quote, is written out."""
    return text.encode("utf-8", "backslashreplace")


def _write_config_file(stream: BinaryIO, config: ConfigFile) -> None:
    name = _utf8(config.name)
    if len(name) >= CONFIG_FILE_SIZE:
        raise QsmError(f"a configuration's name has at most {CONFIG_FILE_SIZE - 1} bytes")
    stream.write(_kind(MessageId.CONFIG_FILE) + name.ljust(CONFIG_FILE_SIZE, b"\0"))


def _text_writer(kind: MessageId, length_bytes: int) -> Callable[[BinaryIO, Any], None]:
    def write(stream: BinaryIO, message: Any) -> None:
        encoded = _utf8(message.text)
        stream.write(_kind(kind) + len(encoded).to_bytes(length_bytes, "little") + encoded)

    return write


def _write_query(stream: BinaryIO, query: Query) -> None:
    stream.write(_kind(MessageId.QUERY) + bytes(RESERVED))
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
