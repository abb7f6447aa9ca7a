"""C-STORE and C-ECHO (PS3.4 annexes B and A, PS3.7 9.1.1 and 9.1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

from gadgetron_qsm.delivery.association import Association
from gadgetron_qsm.delivery.encoding import data_set, encoded_as
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.statuses import meaning_of, verdict

__all__ = ["Answer", "Entry", "Later", "echo", "store"]

CLASSES = (
    MRImageStorage,
    EnhancedMRImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
    Comprehensive3DSRStorage,
)
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
VERIFICATION = "1.2.840.10008.1.1"
C_STORE_RQ, C_ECHO_RQ = 0x0001, 0x0030  # CommandField, PS3.7 E.1
MEDIUM = 0  # priority
MESSAGES = 0xFFFF  # message IDs there are


class Entry(Protocol):
    """An object to store: a Part 10 file that is read when its turn comes."""

    @property
    def key(self) -> str:
        """What names it in answers."""

    @property
    def class_uid(self) -> str:
        """SOP class."""

    @property
    def instance_uid(self) -> str:
        """SOP instance."""

    @property
    def transfer_syntax(self) -> str:
        """How it is encoded."""

    def read(self) -> bytes:
        """Return the whole file."""


@dataclass(frozen=True)
class Answer:
    """What a node said to one object: confirmed, or why it will never take it."""

    key: str
    refused: str | None = None


def store(node: Node, caller: Caller, objects: Iterable[Entry]) -> Iterator[Answer]:
    """Store objects over one association, in order; give each answer as soon as it comes.

    An object is sent as it is encoded where the node takes that, and otherwise encoded anew in
    the other little endian syntax. Raises Later when the node takes nothing now; what has no
    answer by then waits. An object that a node puts off does not hold up those behind it: Later
    comes after the last of them.
    """
    offered = [(uid, syntax) for uid in CLASSES for syntax in SYNTAXES]
    put_off: list[int] = []
    with Association(node, caller, offered) as association:
        if not association.accepted:
            raise association.later(f"it takes none of our objects; allow {CLASSES[0].name} there")
        for number, entry in enumerate(objects):
            try:
                context, data = _prepared(association, entry)
            except ValueError as error:
                yield Answer(entry.key, str(error))
                continue
            status = association.ask(context, number % MESSAGES + 1, _command(entry), data)
            decided = verdict(status)
            if decided == "full":
                raise association.later(f"{meaning_of(status)}; make room there")
            if decided == "put off":
                put_off.append(status)
            else:
                yield Answer(entry.key, meaning_of(status) if decided == "refused" else None)
        if put_off:
            why = f"{len(put_off)} objects put off: {meaning_of(put_off[0])}; see its log"
            raise association.later(why)


def echo(node: Node, caller: Caller) -> None:
    """Ask a node whether it answers at all (C-ECHO); raises Later when it does not."""
    offered = (VERIFICATION, ImplicitVRLittleEndian)
    with Association(node, caller, [offered]) as association:
        if offered not in association.accepted:
            raise association.later("it takes no verification (C-ECHO); allow it there")
        command = Dataset()
        command.AffectedSOPClassUID = VERIFICATION
        command.CommandField = C_ECHO_RQ
        status = association.ask(association.accepted[offered], 1, command)
        if status != 0:
            raise association.later(f"its answer to C-ECHO is {meaning_of(status)}; see its log")


def _prepared(association: Association, entry: Entry) -> tuple[int, bytes | memoryview]:
    """Return the context to send an object in, and its data set encoded for that.

    Raises ValueError, the reason for people, when the node takes no such object.
    """
    for syntax in sorted(SYNTAXES, key=lambda syntax: syntax != entry.transfer_syntax):
        context = association.accepted.get((entry.class_uid, syntax))
        if context is not None and entry.transfer_syntax in SYNTAXES:
            file = entry.read()
            same = syntax == entry.transfer_syntax
            return context, data_set(file) if same else encoded_as(file, syntax)
    what = UID(entry.class_uid).name
    if entry.transfer_syntax not in SYNTAXES:
        what += f" in {UID(entry.transfer_syntax).name}"
    raise ValueError(f"the node takes no {what} (no presentation context accepted)")


def _command(entry: Entry) -> Dataset:
    command = Dataset()
    command.AffectedSOPClassUID = entry.class_uid
    command.CommandField = C_STORE_RQ
    command.Priority = MEDIUM
    command.AffectedSOPInstanceUID = entry.instance_uid
    return command
