"""C-STORE and C-ECHO (PS3.4 annexes B and A, PS3.7 9.1.1 and 9.1.5)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
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

from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.statuses import meaning_of, verdict

if TYPE_CHECKING:
    from gadgetron_qsm.delivery.association import Association

CLASSES = (
    MRImageStorage,
    EnhancedMRImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
    Comprehensive3DSRStorage,
)
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
VERIFICATION = "1.2.840.10008.1.1"
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


def store(node: Node, caller: Caller, objects: Iterable[Entry]) -> Generator[Answer, None, None]:
    """Store objects over one association, in order; give each answer as soon as it comes.

    An object is sent as it is encoded where the node takes that, and otherwise encoded anew in
    the other little endian syntax. Raises Later when the node takes nothing now; what has no
    answer by then waits. An object that a node puts off does not hold up those behind it: Later
    comes after the last of them.
    """
    from gadgetron_qsm.delivery.association import Association

    offered = [(uid, syntax) for uid in CLASSES for syntax in SYNTAXES]
    put_off: list[int] = []
    with Association(node, caller, offered) as association:
        if not association.accepted:
            raise association.later(f"it takes none of our objects; allow {CLASSES[0].name} there")
        for number, entry in enumerate(objects):
            try:
                status = _store(association, entry, number % MESSAGES + 1)
            except ValueError as error:
                yield Answer(entry.key, str(error))
                continue
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
    from gadgetron_qsm.delivery.association import Association

    offered = (VERIFICATION, ImplicitVRLittleEndian)
    with Association(node, caller, [offered]) as association:
        if offered not in association.accepted:
            raise association.later("it takes no verification (C-ECHO); allow it there")
        status = association.echo()
        if status != 0:
            raise association.later(f"its answer to C-ECHO is {meaning_of(status)}; see its log")


def _store(association: Association, entry: Entry, message: int) -> int:
    """Store an object; return the status.

    Raises ValueError, the reason for people, when the node takes no such object, or nobody would.
    """
    takes = any((entry.class_uid, syntax) in association.accepted for syntax in SYNTAXES)
    if not takes or entry.transfer_syntax not in SYNTAXES:
        what = UID(entry.class_uid).name
        if entry.transfer_syntax not in SYNTAXES:
            what += f" in {UID(entry.transfer_syntax).name}"
        raise ValueError(f"the node takes no {what} (no presentation context accepted)")
    file = entry.read()
    return association.store(_dataset(file), message, len(file))


def _dataset(file: bytes) -> Dataset:
    """Read a Part 10 file; its values stay encoded, and are sent as they are where that fits."""
    try:
        return dcmread(BytesIO(file))
    except InvalidDicomError as error:
        raise ValueError("not a DICOM file") from error
