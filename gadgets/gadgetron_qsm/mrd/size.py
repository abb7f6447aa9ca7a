"""How much memory a message holds."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    DicomFile,
    Image,
    ImageArray,
    Message,
    ReconData,
    Waveform,
)

OVERHEAD = 1 << 10  # bytes a message, or a part of one, beside its data: header, objects


def bytes_of(message: Message) -> int:
    """Return the bytes that a message holds, about: all of it whose size the sender decides."""
    if isinstance(message, Acquisition):
        path = message.trajectory
        return OVERHEAD + message.data.nbytes + (0 if path is None else path.nbytes)
    if isinstance(message, Bucket):
        parts: list[Message] = [*message.data, *message.reference, *message.waveforms]
        return OVERHEAD + sum(map(bytes_of, parts))
    if isinstance(message, ReconData):
        buffers = [buffer for bit in message.bits for buffer in bit if buffer]
        return OVERHEAD + sum(
            OVERHEAD + buffer.data.nbytes + buffer.headers.nbytes for buffer in buffers
        )
    if isinstance(message, ImageArray):
        arrays = message.data.nbytes + message.headers.nbytes
        return OVERHEAD + arrays + _texts(message.meta)
    if isinstance(message, Image):
        return OVERHEAD + message.data.nbytes + _texts([message.meta])
    if isinstance(message, Waveform):
        return OVERHEAD + message.data.nbytes
    if isinstance(message, DicomFile):
        return OVERHEAD + len(message.data) + _texts([message.name, message.meta])
    return OVERHEAD + _texts([getattr(message, "text", "")])


def _texts(texts: Iterable[str]) -> int:
    return sum(map(sys.getsizeof, texts))
