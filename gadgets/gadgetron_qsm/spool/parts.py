"""The parts of an HDF5 file as bytes (HDF5 File Format Specification 3.0, sections II to IV).

Each in its oldest form, which has no checksums: a few bytes changed in place then make another
valid file of a valid one. Addresses and sizes are bytes from the beginning of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import h5py
from numpy.typing import DTypeLike

UNDEFINED = 2**64 - 1
ALIGNMENT = 8
END_OF_FILE = 40  # where the superblock has it
ROOT_HEADER = 64  # where it has the address of the root group's header
EMPTY_ROOT = 96  # that address, while nothing is in the file
LENGTH = 32  # where a data set's header has its number of rows
CHILDREN = 64  # of a node of an index, as a superblock of version 0 has it

_DATASPACE, _LINK_INFO, _DATATYPE, _FILL, _LINK, _LAYOUT, _GROUP_INFO = 1, 2, 3, 5, 6, 8, 10
_CONSTANT = 1  # flag of a message that does not change
_VARIABLE_LENGTH = 9  # class of a datatype
_REFERENCE = struct.Struct("<IQI")  # number of elements; address and index of their collection
_SMALLEST_COLLECTION = 4096
_OBJECT = struct.Struct("<HH4xQ")  # index, number of references, size

NOTHING = bytes(_REFERENCE.size)  # a value without elements


def empty_file() -> bytes:
    """Return an HDF5 file with nothing in it."""
    root = group_header({})
    end = EMPTY_ROOT + len(root)
    versions_and_sizes = bytes([0, 0, 0, 0, 0, 8, 8, 0])
    numbers = struct.pack("<HHI4Q", 4, 16, 0, 0, UNDEFINED, end, UNDEFINED)
    root_entry = struct.pack("<QQ24x", 0, EMPTY_ROOT)
    return b"\x89HDF\r\n\x1a\n" + versions_and_sizes + numbers + root_entry + root


def group_header(members: Mapping[str, int]) -> bytes:
    """Return the header of a group, of the names and the addresses of the headers in it."""
    messages = [(_LINK_INFO, 0, struct.pack("<BBQQ", 0, 0, UNDEFINED, UNDEFINED))]
    messages.append((_GROUP_INFO, _CONSTANT, bytes(2)))
    for name, address in members.items():
        link = bytes([1, 0, len(name)]) + name.encode("ascii") + struct.pack("<Q", address)
        messages.append((_LINK, 0, link))
    return _object_header(messages)


def data_set_header(dtype: DTypeLike, shape: Sequence[int], chunk_rows: int) -> tuple[bytes, int]:
    """Return the header of an empty data set of rows of that shape, and where its index's address
    is to be put in it.
    """
    rank = 1 + len(shape)
    sizes = struct.pack(f"<{rank}Q", 0, *shape) + struct.pack(f"<{rank}Q", UNDEFINED, *shape)
    described = _datatype(dtype)
    (element,) = struct.unpack_from("<I", described, 4)
    chunk = struct.pack(f"<{rank + 1}I", chunk_rows, *shape, element)
    layout = struct.pack("<BBBQ", 3, 2, rank + 1, UNDEFINED) + chunk
    header = _object_header(
        [
            (_DATASPACE, 0, bytes([1, rank, 1, 0, 0, 0, 0, 0]) + sizes),
            (_DATATYPE, _CONSTANT, described),
            (_FILL, _CONSTANT, bytes([2, 3, 2, 1, 0, 0, 0, 0])),  # storage as it is needed
            (_LAYOUT, 0, layout),
        ]
    )
    return header, len(header) - _padded(len(layout)) + 3


def row_bytes(dtype: DTypeLike) -> int:
    """Return the size of an element in the file."""
    return int(struct.unpack_from("<I", _datatype(dtype), 4)[0])


class Collection:
    """Values of variable length that lie together in the file, from `address` on."""

    def __init__(self, address: int) -> None:
        self._address = address
        self._header = bytearray(_OBJECT.size)
        self._count = 0
        self.buffers: list[bytes | bytearray | memoryview] = [self._header]
        self.size = _OBJECT.size

    def add(self, value: bytes | bytearray | memoryview, size: int, elements: int) -> bytes:
        """Add a value of `size` bytes; return the reference to it that a row has."""
        self._count += 1
        padding = -size % ALIGNMENT
        self.buffers += _OBJECT.pack(self._count, 1, size), value
        if padding:
            self.buffers.append(bytes(padding))
        self.size += _OBJECT.size + size + padding
        return _REFERENCE.pack(elements, self._address, self._count)

    def close(self) -> None:
        """Fill a collection up to the least size that there is; it takes no more values."""
        if self.size < _SMALLEST_COLLECTION:
            free = max(_OBJECT.size, _SMALLEST_COLLECTION - self.size)
            self.buffers.append(_OBJECT.pack(0, 0, free) + bytes(free - _OBJECT.size))
            self.size += free
        struct.pack_into("<4sB3xQ", self._header, 0, b"GCOL", 1, self.size)


def _datatype(dtype: DTypeLike) -> bytes:
    """Return a type as a file has it: h5py's own bytes, but for the size that memory has."""
    described = bytearray(h5py.h5t.py_create(dtype, logical=True).encode()[2:])
    if described[0] & 15 == _VARIABLE_LENGTH:
        struct.pack_into("<I", described, 4, _REFERENCE.size)
    return bytes(described)


def _object_header(messages: Sequence[tuple[int, int, bytes]]) -> bytes:
    packed = b""
    for kind, flags, body in messages:
        size = _padded(len(body))
        packed += struct.pack("<HHB3x", kind, size, flags) + body.ljust(size, b"\0")
    return struct.pack("<BxHII4x", 1, len(messages), 1, len(packed)) + packed


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT
