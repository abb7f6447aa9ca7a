"""HDF5 files that only grow, and are valid after every single write.

The HDF5 library itself leaves a file that cannot be read when it is killed between two of its
writes; its mode for readers beside a writer (SWMR) takes no data of variable length, which readouts
are in ISMRMRD files. Here all that is new goes behind the end of the file first. Then a few numbers
of at most 8 bytes are changed, each with a write of its own, in an order in which every state is a
valid file: end of file, index, number of rows. Nothing that counts is ever moved or overwritten.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Union

from numpy.typing import DTypeLike

from gadgetron_qsm.spool import parts
from gadgetron_qsm.spool.index import ChunkIndex

PAGE = 4096  # bytes that a kernel writes as one: numbers that change do not lie across two
COLLECTION = 1 << 16  # bytes of values that are read at once
MOST_BUFFERS = 1024  # that the kernel takes in a call

Buffer = bytes | bytearray | memoryview
Members = Mapping[str, Union["DataSet", "Members"]]


class GrowingFile:
    """A new HDF5 file, empty and open for writing. Nothing is written before `write`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._tail: list[Buffer] = []
        self._changes: list[tuple[int, Buffer]] = []
        self._values: parts.Collection | None = None
        self._written = 0
        self._next = PAGE

    def end(self) -> int:
        """Let no more values lie with the last ones; return where the file ends once written."""
        self._close_values()
        return self._next

    def append(self, *data: Buffer, alignment: int = parts.ALIGNMENT) -> int:
        """Put data at the end of the file; return their address."""
        self._close_values()
        address = self._next + -self._next % alignment
        size = sum(memoryview(part).nbytes for part in data)
        padding = -size % parts.ALIGNMENT
        self._tail += bytes(address - self._next), *data, bytes(padding)
        self._next = address + size + padding
        return address

    def change(self, address: int, data: Buffer) -> None:
        """Change what is there, after all that was appended or changed before."""
        self._changes.append((address, data))

    def value(self, data: Buffer, elements: int) -> bytes:
        """Put a value of variable length; return the reference to it that a row has."""
        size = memoryview(data).nbytes
        if not size:
            return parts.NOTHING
        if self._values is None:
            self._values = parts.Collection(self._next)
        reference = self._values.add(data, size, elements)
        if self._values.size >= COLLECTION:
            self._close_values()
        return reference

    def publish(self, members: Members) -> None:
        """Let the root group have these members; those that it had are to be among them."""
        self.change(parts.ROOT_HEADER, struct.pack("<Q", self._group(members)))

    def write(self) -> None:
        """Write all that was put; raise OSError, and leave the file as it was or a part further."""
        end = self.end()
        if not self._written:
            _write(self._descriptor, [parts.empty_file().ljust(PAGE, b"\0")], 0)
            self._written = PAGE
        _write(self._descriptor, self._tail, self._written)
        _write(self._descriptor, [struct.pack("<Q", end)], parts.END_OF_FILE)
        for address, data in self._changes:
            _write(self._descriptor, [data], address)
        self._written = end
        self._tail, self._changes = [], []

    def _group(self, members: Members) -> int:
        addresses = {
            name: member.address if isinstance(member, DataSet) else self._group(member)
            for name, member in members.items()
        }
        return self.append(parts.group_header(addresses))

    def _close_values(self) -> None:
        if self._values is not None:
            self._values.close()
            self._tail += self._values.buffers
            self._next += self._values.size
            self._values = None


class DataSet:
    """A data set of rows of one shape and type; its length is what changes last."""

    def __init__(
        self, file: GrowingFile, dtype: DTypeLike, shape: Sequence[int] = (), chunk_rows: int = 1
    ) -> None:
        header, index_at = parts.data_set_header(dtype, shape, chunk_rows)
        self.address = file.append(header, alignment=PAGE)
        self.length = 0
        self._file = file
        self._index_address = self.address + index_at
        self._index = ChunkIndex(file, self._key)
        self._rank = 1 + len(shape)
        self._row = parts.row_bytes(dtype)
        for size in shape:
            self._row *= size
        self._chunk_rows = chunk_rows
        self._chunk = chunk_rows * self._row
        self._last = 0

    def extend(self, rows: Buffer) -> None:
        """Add whole rows."""
        rows = memoryview(rows)
        used = self.length % self._chunk_rows
        room = (self._chunk_rows - used) * self._row if used else 0
        if rows[:room]:
            self._file.change(self._last + used * self._row, rows[:room])
        if rows[room:]:
            self._add_chunks(rows[room:])
        self.length += len(rows) // self._row
        self._file.change(self.address + parts.LENGTH, struct.pack("<Q", self.length))

    def _add_chunks(self, rows: memoryview) -> None:
        first = self._file.append(rows, bytes(-len(rows) % self._chunk))
        for start in range(0, len(rows), self._chunk):
            self._last = first + start
            if root := self._index.add(self._last):
                self._file.change(self._index_address, struct.pack("<Q", root))

    def _key(self, number: int) -> bytes:
        first_row = struct.pack("<IIQ", self._chunk, 0, number * self._chunk_rows)
        return first_row + bytes(8 * self._rank)


def end_of(descriptor: int) -> int:
    """Return where a file ends as its superblock says; what lies behind is of no use."""
    return _number_at(descriptor, parts.END_OF_FILE)


def is_empty(descriptor: int) -> bool:
    """Tell whether a file was killed before anything was published in it."""
    return _number_at(descriptor, parts.ROOT_HEADER) == parts.EMPTY_ROOT


def _number_at(descriptor: int, address: int) -> int:
    return int.from_bytes(os.pread(descriptor, 8, address), "little")


def _write(descriptor: int, buffers: Sequence[Buffer], offset: int) -> None:
    for first in range(0, len(buffers), MOST_BUFFERS):
        batch = buffers[first : first + MOST_BUFFERS]
        size = sum(memoryview(part).nbytes for part in batch)
        written = os.pwritev(descriptor, batch, offset)
        while written < size:  # of 2 GB, all that a call writes; or a signal came
            rest = memoryview(b"".join(batch))[written:]
            written += os.pwritev(descriptor, [rest], offset + written)
        offset += size
