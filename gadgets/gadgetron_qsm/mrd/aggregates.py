"""Gadgetron's own messages: many readouts or images at once (layout: its core/writers, 4.7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Acquisition,
    Bucket,
    ImageArray,
    ReconBuffer,
    ReconData,
    Record,
    Waveform,
)
from gadgetron_qsm.mrd.primitives import (
    Metered,
    Readable,
    array,
    bounded,
    exactly,
    number,
    optional,
    record,
    text,
)

SAMPLING = np.dtype(
    [
        ("encoded_fov", "<f4", (3,)),
        ("recon_fov", "<f4", (3,)),
        ("encoded_matrix", "<u2", (3,)),
        ("recon_matrix", "<u2", (3,)),
        ("limits", "<u2", (3, 3)),
    ],
    align=True,  # 2 bytes of padding at the end, as the C++ compiler has it
)
_BUNDLE = [("count", "<u8"), ("header", "<u8"), ("data", "<u8"), ("trajectory", "<u8")]
_BUCKET = np.dtype(
    [
        ("data", _BUNDLE),
        ("reference", _BUNDLE),
        ("data_statistics", "<u8"),
        ("reference_statistics", "<u8"),
        ("waveforms", _BUNDLE[:3]),
    ]
)  # everything but count is a number of bytes
_MOST_WAVEFORMS = 1 << 24  # beside an image array
DIMENSIONS = 7  # of Gadgetron's buffers and image arrays


def read_bucket(stream: Readable, limits: Limits) -> Bucket:
    """Read an AcquisitionBucket without its statistics, which the readouts themselves tell."""
    limit, what = limits.array, "a bucket"
    stream = Metered(stream, limit, what)
    sizes = record(stream, _BUCKET, what)
    data = _readouts(stream, sizes["data"], limit)
    _bytes(stream, sizes, "data_statistics", limit)
    reference = _readouts(stream, sizes["reference"], limit)
    _bytes(stream, sizes, "reference_statistics", limit)
    return Bucket(data, reference, _waveforms(stream, sizes["waveforms"], limit))


def read_recon_data(stream: Readable, limits: Limits) -> ReconData:
    """Read an IsmrmrdReconData without trajectories and densities: no cartesian scan has them."""

    def buffer(stream: Readable) -> ReconBuffer:
        return _recon_buffer(stream, limits.array)

    stream = Metered(stream, limits.array, "a message of reconstruction buffers")
    return ReconData(
        [
            (buffer(stream), optional(stream, buffer, "a reconstruction buffer"))
            for _ in range(_count(stream, "reconstruction buffers", limits.encodings))
        ]
    )


def read_image_array(stream: Readable, limits: Limits) -> ImageArray:
    """Read an IsmrmrdImageArray without the waveforms and readout headers behind it."""
    what, limit = "an image array", limits.array
    stream = Metered(stream, limit, what)
    data = array(stream, np.complex64, what, limit)
    headers = array(stream, IMAGE_HEADER, what, limit)
    if data.ndim != DIMENSIONS or headers.shape != data.shape[4:]:
        raise QsmError(f"{what} has headers {headers.shape} for data {data.shape}")
    meta = [text(stream, "<u8", what) for _ in range(_count(stream, "metas", headers.size))]
    optional(stream, lambda s: _loose_waveforms(s, limits.readout), what)
    optional(stream, lambda s: array(s, ACQUISITION_HEADER, what, limit), what)
    return ImageArray(data, headers, meta)


def _count(stream: Readable, what: str, most: int) -> int:
    return bounded(number(stream, "<u8", what), most, f"the number of {what}")


def _recon_buffer(stream: Readable, limit: int) -> ReconBuffer:
    what = "a reconstruction buffer"
    data = array(stream, np.complex64, what, limit)
    for _ in ("trajectory", "density"):
        optional(stream, lambda s: array(s, np.float32, what, limit), what)
    headers = array(stream, ACQUISITION_HEADER, what, limit)
    if data.ndim != DIMENSIONS or headers.shape != (*data.shape[1:3], *data.shape[4:]):
        raise QsmError(f"{what} has headers {headers.shape} for data {data.shape}")
    return ReconBuffer(data, headers, record(stream, SAMPLING, what))


def _loose_waveforms(stream: Readable, limit: int) -> None:
    what = "a waveform"
    for _ in range(_count(stream, "waveforms", _MOST_WAVEFORMS)):
        head = record(stream, WAVEFORM_HEADER, what)
        size = 4 * int(head["channels"]) * int(head["number_of_samples"])
        exactly(stream, bounded(size, limit, what), what)


def _bytes(stream: Readable, sizes: Record, part: str, limit: int) -> bytes:
    return exactly(stream, bounded(int(sizes[part]), limit, "a bucket"), "a bucket")


def _values(stream: Readable, sizes: Record, part: str, dtype: DTypeLike, limit: int) -> np.ndarray:
    if int(sizes[part]) % np.dtype(dtype).itemsize:
        raise QsmError(f"the {part} of a bucket ends in the middle of a number")
    return np.frombuffer(_bytes(stream, sizes, part, limit), dtype)


def _cuts(lengths: np.ndarray, whole: np.ndarray, what: str) -> list[np.ndarray]:
    """Cut `whole` in parts of the lengths that the headers give."""
    ends = np.cumsum(lengths)
    if len(whole) != (ends[-1] if len(ends) else 0):
        raise QsmError(f"the {what} of a bucket are not as long as their headers say")
    return np.split(whole, ends[:-1]) if len(ends) else []


def _heads(stream: Readable, sizes: Record, dtype: np.dtype, limit: int) -> np.ndarray:
    if int(sizes["header"]) != int(sizes["count"]) * dtype.itemsize:
        raise QsmError("the headers of a bucket are not of ISMRMRD version 1")
    return _values(stream, sizes, "header", dtype, limit)


def _readouts(stream: Readable, sizes: Record, limit: int) -> list[Acquisition]:
    heads = _heads(stream, sizes, ACQUISITION_HEADER, limit)
    trajectory = _values(stream, sizes, "trajectory", np.float32, limit)
    data = _values(stream, sizes, "data", np.complex64, limit)
    samples = heads["number_of_samples"].astype(np.int64)
    channels = heads["active_channels"].astype(np.int64)
    lengths = samples * heads["trajectory_dimensions"]
    # RemoveROOversampling crops readouts but not their trajectories, which then fit none of them
    fits = len(trajectory) > 0 and lengths.sum() == len(trajectory)
    trajectories = _cuts(lengths, trajectory, "trajectories") if fits else [None] * len(heads)
    return [
        Acquisition(head, part.reshape(coils, n), _path(path, head))
        for head, part, path, coils, n in zip(
            heads, _cuts(samples * channels, data, "readouts"), trajectories,
            channels.tolist(), samples.tolist(), strict=True,
        )
    ]  # fmt: skip


def _path(values: np.ndarray | None, head: Record) -> np.ndarray | None:
    shape = head["number_of_samples"], head["trajectory_dimensions"]
    return None if values is None else values.reshape(shape)


def _waveforms(stream: Readable, sizes: Record, limit: int) -> list[Waveform]:
    heads = _heads(stream, sizes, WAVEFORM_HEADER, limit)
    data = _values(stream, sizes, "data", np.uint32, limit)
    lengths = heads["channels"].astype(np.int64) * heads["number_of_samples"]
    return [
        Waveform(head, part.reshape(head["channels"], head["number_of_samples"]))
        for head, part in zip(heads, _cuts(lengths, data, "waveforms"), strict=True)
    ]
