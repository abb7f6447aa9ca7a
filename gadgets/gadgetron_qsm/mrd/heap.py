"""Lists of any length in the rows of an HDF5 table, read past the HDF5 library.

The library allocates each list, and copies it several times. In the file a row has of a list its
length and where it lies: in a collection of the global heap, as the object of a number. Both are
read here as they lie (HDF5 File Format Specification 3.0, III.E and IV.A.2.d). Only plain tables
are read so, and only what is where it is expected; the rest is for the library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from struct import Struct
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.mrd.windows import Offsets, Windows

LIST = np.dtype([("length", "<u4"), ("address", "<u8"), ("number", "<u4")])  # in a row
COLLECTION = np.dtype(
    [
        ("signature", "S4"),
        ("version", "u1"),
        ("reserved", "V3"),
        ("size", "<u8"),
        ("number", "<u2"),
        ("references", "<u2"),
        ("more_reserved", "V4"),
        ("bytes", "<u8"),
    ]
)  # fmt: skip - with the head of its first object, mostly the only one
HEAD, OBJECT = 16, Struct("<HHIQ")  # bytes of a collection's own head; an object's
SHARED = 1 << 16  # bytes at most of a collection that was made for several objects
ALIGNED = 8  # bytes, of objects in a collection
# by the library or by numpy, of what makes no sense
UNREADABLE = OSError, RuntimeError, ArithmeticError, LookupError, ValueError, TypeError, MemoryError
DAMAGED = "a list is not where its row says"

Types = tuple[np.dtype[Any], dict[str, np.dtype[Any]]]


class Table:
    """A table whose rows have lists."""

    def __init__(self, dataset: h5py.Dataset, chunks: Offsets, rows: int, types: Types) -> None:
        """`chunks` are where they begin in the file, of so many rows each; `types`: see _types."""
        self._descriptor = dataset.file.id.get_vfd_handle()
        self._chunks, self._rows = chunks, rows
        self._row, self._lists = types

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> Table | None:
        """Return a plain table of a plain file; None of one that the library alone can read."""
        file = dataset.file
        if file.driver != "sec2" or file.userblock_size or dataset.ndim != 1:
            return None
        try:
            sizes = file.id.get_create_plist().get_sizes()  # of addresses and lengths
            chunks, types = _chunks(dataset), _types(dataset.id.get_type())
        except UNREADABLE:
            return None  # what is wrong the library tells when it reads
        if sizes != (8, 8) or chunks is None or types is None:
            return None
        return cls(dataset, *chunks, types)

    def read(self, start: int, stop: int) -> Mapping[str, Any] | None:
        """Read rows: what each field has of them; None where they are otherwise than expected.

        Raises OSError where the file cannot be read, or makes no sense.
        """
        numbers = np.arange(start, stop)
        chunks = self._chunks[numbers // self._rows]
        if chunks.min() <= 0:  # it was never written
            return None
        places = chunks + self._row.itemsize * (numbers % self._rows)
        rows = Windows(self._descriptor, places, places + self._row.itemsize).records(
            places, self._row
        )
        fields: dict[str, Any] = {}
        for name in self._row.names or ():
            column, dtype = _column(rows, name), self._lists.get(name)
            values = column if dtype is None else _lists(self._descriptor, column, dtype)
            if values is None:
                return None
            fields[name] = values
        return fields


def _column(rows: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a field of packed records, packed; numpy itself copies records field by field."""
    of_names: Any = rows.dtype.fields
    dtype, begin = of_names[name]
    whole = rows.view(np.uint8).reshape(len(rows), -1)
    return np.ascontiguousarray(whole[:, begin : begin + dtype.itemsize]).view(dtype)[:, 0]


def _chunks(dataset: h5py.Dataset) -> tuple[Offsets, int] | None:
    """Return where chunks begin, 0 of those not written, and how many rows each has."""
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.CONTIGUOUS and not plan.get_external_count():
        return np.array([dataset.id.get_offset() or 0], np.int64), max(1, len(dataset))
    visit = getattr(dataset.id, "chunk_iter", None)  # of HDF5 1.14 and later
    if plan.get_layout() != h5py.h5d.CHUNKED or plan.get_nfilters() or visit is None:
        return None
    (rows,) = dataset.chunks
    chunks = np.zeros(-(-len(dataset) // rows), np.int64)

    def note(chunk: Any) -> None:
        chunks[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    visit(note)
    return chunks, rows


def _types(row: Any) -> Types | None:
    """Return the type of a row as it is in the file, and those of the elements of its lists."""
    lists: dict[str, np.dtype[Any]] = {}
    fields: dict[str, tuple[np.dtype[Any], int]] = {}
    for number in range(row.get_nmembers()):
        name, member = row.get_member_name(number).decode(), row.get_member_type(number)
        dtype = member.dtype
        if isinstance(member, h5py.h5t.TypeVlenID):
            lists[name], dtype = member.get_super().dtype, LIST
        if dtype.hasobject or lists.get(name, dtype).hasobject:
            return None
        fields[name] = dtype, row.get_member_offset(number)
    dtypes, offsets = ([*part] for part in zip(*fields.values(), strict=True))
    return np.dtype(
        {"names": [*fields], "formats": dtypes, "offsets": offsets, "itemsize": row.get_size()}
    ), lists


def _lists(descriptor: int, lists: NDArray[Any], dtype: np.dtype[Any]) -> list[NDArray[Any]] | None:
    """Read lists of elements of `dtype`; None where one is not near the head of its collection."""
    found = [np.empty(0, dtype)] * len(lists)
    rows = np.flatnonzero(lists["length"])
    if not len(rows):
        return found
    lists, size = lists[rows], os.fstat(descriptor).st_size
    places = lists["address"].astype(np.int64)  # below 0 where it is beyond any file
    sizes = lists["length"].astype(np.int64) * dtype.itemsize
    shared = np.minimum(SHARED, size - places)
    heap = Windows(descriptor, places, places + np.maximum(COLLECTION.itemsize + sizes, shared))
    at = _objects(heap, places, lists["number"], sizes)
    if at is None:
        return None
    for row, start, length in zip(rows.tolist(), at, lists["length"].tolist(), strict=True):
        part = np.frombuffer(heap.buffer, dtype, length, start)
        found[row] = part.copy() if start % dtype.alignment else part
    return found


def _objects(
    heap: Windows, places: Offsets, numbers: NDArray[Any], sizes: Offsets
) -> list[int] | None:
    """Return where in the heap's buffer objects begin, of the collections at `places`.

    None where one is not in what was read; raises OSError where it has another size, or there is
    no collection.
    """
    collections = heap.records(places, COLLECTION)
    if ((collections["signature"] != b"GCOL") | (collections["version"] != 1)).any():
        raise OSError(DAMAGED)
    begins = heap.position(places)
    first = (collections["number"] == numbers) & (collections["bytes"] == sizes)
    at = [*map(int, begins + COLLECTION.itemsize)]
    if first.all():
        return at
    ends = np.minimum(begins + collections["size"].astype(np.int64), heap.end(places)).tolist()
    whole = heap.buffer.data
    walked: dict[int, dict[int, tuple[int, int]]] = {}
    for row, (begin, number, size) in enumerate(
        zip(begins.tolist(), numbers.tolist(), sizes.tolist(), strict=True)
    ):
        if begin not in walked:
            walked[begin] = _walk(whole, begin, ends[row])
        if number not in walked[begin]:
            return None
        at[row], found = walked[begin][number]
        if found != size:
            raise OSError(DAMAGED)
    return at


def _walk(buffer: memoryview, begin: int, end: int) -> dict[int, tuple[int, int]]:
    """Return where the objects of a collection begin, and their sizes, by their numbers."""
    found: dict[int, tuple[int, int]] = {}
    at = begin + HEAD
    while at + OBJECT.size <= end:
        number, _, _, size = OBJECT.unpack_from(buffer, at)
        at += OBJECT.size
        if not number or at + size > end:  # what is free, or has not been read
            break
        found[number] = at, size
        at += -(-size // ALIGNED) * ALIGNED
    return found
