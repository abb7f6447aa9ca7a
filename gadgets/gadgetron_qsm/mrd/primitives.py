"""What MRD messages are made of: fixed records, texts, arrays. Little-endian, never half read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gadgetron_qsm.errors import QsmError

LARGEST_TEXT = 16 << 20  # bytes; the meta of an image may have a whole report
LARGEST_XML = 4 << 20  # bytes; the longest header seen, with every user parameter, is 1 MiB
LARGEST_DICOM = 1 << 30  # bytes; 512 slices of 512 x 512 floats in one object are 512 MiB
MOST_DIMENSIONS = 16
LONGEST_DIMENSION = 1 << 31

T = TypeVar("T")


class Readable(Protocol):
    """What is asked of a stream."""

    def read(self, size: int, /) -> bytes:
        """Read `size` bytes, less only at the end."""


class PeerGone(QsmError):  # noqa: N818 - it names what happened
    """The other side ended the connection before it said CLOSE."""


class NoClose(PeerGone):
    """The other side ended, or fell silent, behind a whole message."""


class Silence(PeerGone):
    """Nothing came for longer than is waited."""


def kind_of_next(stream: Readable) -> int:
    """Read the number in front of a message; raise NoClose when there is none."""
    what = "the stream (no CLOSE came)"
    try:
        data = _read(stream, 2, what)
    except Silence as error:
        raise NoClose(str(error)) from error
    if not data:
        raise NoClose(f"the peer closed the connection in the middle of {what}")
    return int.from_bytes(_whole(data, 2, what), "little")


def exactly(stream: Readable, size: int, what: str) -> bytes:
    """Read `size` bytes from a buffered stream; a short read is its end and raises PeerGone."""
    return _whole(_read(stream, size, what), size, what)


def _read(stream: Readable, size: int, what: str) -> bytes:
    try:
        return stream.read(size)
    except ConnectionError as error:
        raise PeerGone(f"the connection broke in the middle of {what}: {error}") from error
    except MemoryError as error:
        raise QsmError(f"{what} of {size} bytes does not fit in memory") from error


def _whole(data: bytes, size: int, what: str) -> bytes:
    if len(data) < size:
        raise PeerGone(f"the peer closed the connection in the middle of {what}")
    return data


def bounded(size: int, limit: int, what: str) -> int:
    """Return `size`, or raise QsmError when no sane sender announces so much."""
    if size > limit:
        raise QsmError(
            f"{what} announces a size of {size}, more than {limit}, the most accepted of this "
            "scan; the stream is corrupt, or the sizes in its header are wrong"
        )
    return size


class Metered:
    """A stream of which one message takes at most `limit` bytes, all its parts together."""

    def __init__(self, stream: Readable, limit: int, what: str) -> None:
        self._stream, self._limit, self._what = stream, limit, what
        self._taken = 0

    def read(self, size: int, /) -> bytes:
        """Read `size` bytes; raise QsmError when they are more than are left."""
        self._taken = bounded(self._taken + size, self._limit, self._what)
        return self._stream.read(size)


def number(stream: Readable, kind: str, what: str) -> int:
    """Read one integer of numpy type `kind`, such as '<u4'."""
    return int.from_bytes(exactly(stream, np.dtype(kind).itemsize, what), "little")


def record(stream: Readable, dtype: np.dtype[Any], what: str) -> Any:
    """Read one record as a read-only view of its bytes."""
    return np.frombuffer(exactly(stream, dtype.itemsize, what), dtype)[0]


def text(stream: Readable, length_kind: str, what: str, limit: int = LARGEST_TEXT) -> str:
    """Read a text behind its length, without the NUL that some clients end it with."""
    size = bounded(number(stream, length_kind, what), limit, what)
    return exactly(stream, size, what).rstrip(b"\0").decode("utf-8", errors="replace")


def array(stream: Readable, dtype: DTypeLike, what: str, limit: int) -> NDArray[Any]:
    """Read one of Gadgetron's arrays: uint64 rank, uint64 sizes, elements in Fortran order.

    limit: most bytes of the elements.
    """
    dtype = np.dtype(dtype)
    rank = number(stream, "<u8", what)
    if rank > MOST_DIMENSIONS:
        raise QsmError(f"{what} announces {rank} dimensions; the stream is corrupt")
    shape = np.frombuffer(exactly(stream, 8 * rank, what), "<u8").tolist()
    bounded(max(shape, default=0), LONGEST_DIMENSION, what)
    bounded(math.prod(n or 1 for n in shape) * dtype.itemsize, limit, what)  # numpy looks past a 0
    size = math.prod(shape) * dtype.itemsize
    return np.frombuffer(exactly(stream, size, what), dtype).reshape(shape, order="F")


def optional(stream: Readable, read: Callable[[Readable], T], what: str) -> T | None:
    """Read what a byte in front says is there, or not."""
    return read(stream) if exactly(stream, 1, what) != b"\0" else None
