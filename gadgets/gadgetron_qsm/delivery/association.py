"""An association with a node as its requestor (PS3.8), without threads.

pynetdicom encodes and decodes what goes over the wire. Its own Association is not used: its
reactor thread at times takes the answer that a caller waits for, as nodes that answer within a
millisecond show; a node that stops reading halts it for good; and it keeps to itself why a
connection failed.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pydicom import Dataset

from gadgetron_qsm.delivery import units
from gadgetron_qsm.delivery.connection import TLS_ALERT, BrokenOff, Connection, why_broken_off
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.units import Context

LONGEST_SENT = 1 << 17  # of our units, where a node allows more: each has the timeout to itself
LONGEST_ANSWER = 1 << 20  # beyond, a peer is no DICOM node
COMMAND, LAST = 1, 2  # bits of a fragment's head, PS3.8 E.2
NO_DATA_SET = 0x0101  # CommandDataSetType, PS3.7 E.1


class Association:
    """An association that carries messages while its `with` lasts.

    `contexts` are what is offered, each an abstract with one transfer syntax, so that the node
    says of each pair whether it takes it: `accepted` holds the numbers of those that it does.
    Whatever goes wrong between the node and us raises Later.
    """

    def __init__(self, node: Node, caller: Caller, contexts: Sequence[Context]) -> None:
        self.node = node
        self.accepted: dict[Context, int] = {}
        self._longest = LONGEST_SENT
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._over = False  # the association has ended, or nothing sensible goes over it any more
        self._connection = Connection(node, caller)
        try:
            self._negotiate(caller, contexts)
        except BrokenOff as error:
            self._connection.close()
            raise why_broken_off(node, caller) or error from error
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if not self._over:
                self._end(orderly=kind is None or issubclass(kind, Later | GeneratorExit))
        except Later:
            pass  # all answers have come, or the reason is on its way already
        finally:
            self._connection.close()

    def send(self, context: int, command: Dataset, data: bytes | memoryview = b"") -> None:
        """Send a command and, where there is one, the encoded data set with it (PS3.7 6.3)."""
        command.CommandDataSetType = 0 if data else NO_DATA_SET
        self._over = True  # unless all of it gets through
        for unit in units.data_units(context, COMMAND, _encoded(command), self._longest):
            self._connection.send(unit)
        for unit in units.data_units(context, 0, data, self._longest):
            self._connection.send(unit)
        self._over = False

    def receive(self) -> tuple[int, Dataset, bytes]:
        """Return the context's number, command and encoded data set of the next message."""
        self._over = True
        context, command = self._part(COMMAND)
        try:
            answer, data = _decoded(command), b""
        except Exception as error:  # pydicom raises whatever its decoder stumbles over
            raise self._no_dicom() from error
        if answer.get("CommandDataSetType", NO_DATA_SET) != NO_DATA_SET:
            _, data = self._part(0)
        self._over = False
        return context, answer, data

    def has_message(self, within_s: float) -> bool:
        """Wait for a message for that long, and say whether one has begun to come."""
        return bool(self._waiting) or self._connection.is_readable(within_s)

    def ask(
        self, context: int, message: int, command: Dataset, data: bytes | memoryview = b""
    ) -> int:
        """Send a request with the ID `message` and return the status of its response."""
        command.MessageID = message
        self.send(context, command, data)
        _, answer, _ = self.receive()
        if answer.get("MessageIDBeingRespondedTo") != message or "Status" not in answer:
            raise self.unasked()
        return int(answer.Status)

    def later(self, why: str) -> Later:
        """Return the line for people: the node's name, and why nothing goes there now."""
        return self._connection.later(why)

    def unasked(self) -> Later:
        """Return the line about a message that answers nothing; it ends the association."""
        self._over = True
        return self.later("its answer belongs to no question of ours; see its log")

    def _negotiate(self, caller: Caller, contexts: Sequence[Context]) -> None:
        self._connection.send(units.associate_request(caller.title, self.node.title, contexts))
        kind, body, unit = self._unit()
        if kind not in (units.ASSOCIATE_RJ, units.ASSOCIATE_AC):
            raise self._no_dicom()
        try:
            if kind == units.ASSOCIATE_RJ:
                raise self.later(units.rejection(body, caller.title, self.node.title))
            taken, longest = units.accepted_contexts(unit)
        except ValueError as error:
            raise self._no_dicom() from error
        numbers = {context: 2 * i + 1 for i, context in enumerate(contexts)}
        self.accepted = {c: number for c, number in numbers.items() if number in taken}
        self._longest = min(longest or LONGEST_SENT, LONGEST_SENT)

    def _part(self, wanted: int) -> tuple[int, bytes]:
        """Return all fragments of a command or of a data set, joined."""
        parts, head, context = [], 0, 0
        while not head & LAST:
            while not self._waiting:
                self._receive_data()
            context, head, data = self._waiting.popleft()
            if head & COMMAND != wanted:
                raise self._no_dicom()
            parts.append(data)
        return context, b"".join(parts)

    def _receive_data(self) -> None:
        kind, body, _ = self._unit()
        if kind == units.RELEASE_RQ:
            self._connection.send(units.RELEASED)
            raise self.later("it ended the association; it will be tried again")
        if kind != units.P_DATA:
            raise self._no_dicom()
        try:
            self._waiting.extend(units.fragments(body))
        except ValueError as error:
            raise self._no_dicom() from error

    def _unit(self) -> tuple[int, bytes, bytes]:
        """Return type, body and whole of the next protocol data unit."""
        head = self._connection.receive(6)
        kind, length = struct.unpack(">BxI", head)
        if kind == TLS_ALERT:
            raise self.later("it speaks TLS; write the node as tls:TITLE@HOST:PORT")
        if not units.ASSOCIATE_AC <= kind <= units.ABORT or length > LONGEST_ANSWER:
            raise self._no_dicom()
        body = self._connection.receive(length)
        if kind == units.ABORT:
            raise self.later("it aborted the association; see its log, and whether we may store")
        return kind, body, head + body

    def _end(self, *, orderly: bool) -> None:
        self._connection.send(units.RELEASE if orderly else units.ABORTED)
        while orderly and self._unit()[0] != units.RELEASE_RP:
            pass

    def _no_dicom(self) -> Later:
        return self.later(f"what listens at {self.node.address} does not speak DICOM; correct it")


def _encoded(command: Dataset) -> bytes:
    """Encode a command with its group length, in implicit VR little endian (PS3.7 6.3.1)."""
    from pynetdicom.dsutils import encode

    body = encode(command, True, True) or b""
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _decoded(command: bytes) -> Dataset:
    from pynetdicom.dsutils import decode

    return decode(BytesIO(command), True, True)
