"""Where the chunks of a growing HDF5 data set lie (format specification 3.0, III.A.1)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from gadgetron_qsm.spool.parts import CHILDREN, UNDEFINED

LEVELS = 3
_NODE_HEADER = 24
_ENTRIES_USED, _RIGHT_SIBLING = 6, 16  # where a node has them
_OFFSET = 8  # where a key has the first row of its chunk


class Target(Protocol):
    """What an index is written to."""

    def append(self, data: bytes) -> int:
        """Put data at the end; return their address."""

    def change(self, address: int, data: bytes) -> None:
        """Change what is there, after all that was appended or changed before."""


class ChunkIndex:
    """A B-tree of three levels, for 64 ** 3 chunks, to which chunks are added at its right end.

    A reader finds the same chunks as before until a node's number of entries is changed, which is
    a change of two bytes and comes last. Nodes are never moved.
    """

    def __init__(self, file: Target, key: Callable[[int], bytes]) -> None:
        """`key` gives the key of the chunk of that number."""
        self._file = file
        self._key = key
        self._chunks = 0
        self._nodes: list[_Node] = []  # to whose right the next are put, from the leaf to the root

    def add(self, address: int) -> int | None:
        """Add the next chunk; return the address of the root when that is new.

        Raises OverflowError when there is no room for more.
        """
        number, self._chunks = self._chunks, self._chunks + 1
        if not self._nodes:
            for level in range(LEVELS):
                address = self._start(level, number, address)
            return address
        for level, node in enumerate(self._nodes):
            if node.entries < CHILDREN:
                self._put(node, number, address)
                break
            address = self._start(level, number, address)
        else:
            raise OverflowError("an HDF5 data set has no room for more chunks")
        for above in self._nodes[level + 1 :]:
            self._bound(above)
        return None

    def _start(self, level: int, number: int, address: int) -> int:
        """Append a node with a first entry, to the right of the one that is full."""
        left = self._nodes[level] if level < len(self._nodes) else None
        sides = left.address if left else UNDEFINED, UNDEFINED
        entry = self._key(number) + struct.pack("<Q", address) + self._key(number + 1)
        empty = (len(entry) - len(self._key(0))) * (CHILDREN - 1)
        head = b"TREE" + struct.pack("<BBHQQ", 1, level, 1, *sides)
        node = _Node(self._file.append(head + entry + bytes(empty)))
        if left:
            self._file.change(left.address + _RIGHT_SIBLING, struct.pack("<Q", node.address))
            self._nodes[level] = node
        else:
            self._nodes.append(node)
        return node.address

    def _put(self, node: _Node, number: int, address: int) -> None:
        """Write an entry behind those that count, then have it count."""
        place = self._key_of(node, node.entries) + len(self._key(0))
        self._file.change(place, struct.pack("<Q", address) + self._key(number + 1))
        node.entries += 1
        self._file.change(node.address + _ENTRIES_USED, struct.pack("<H", node.entries))

    def _bound(self, node: _Node) -> None:
        """Say up to where the chunks below a node reach."""
        first_row = self._key(self._chunks)[_OFFSET : _OFFSET + 8]
        self._file.change(self._key_of(node, node.entries) + _OFFSET, first_row)

    def _key_of(self, node: _Node, entry: int) -> int:
        return node.address + _NODE_HEADER + entry * (len(self._key(0)) + 8)


class _Node:
    """A node with one entry, as it is when it is new."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.entries = 1
