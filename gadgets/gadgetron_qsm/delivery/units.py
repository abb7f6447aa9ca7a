"""What opens and ends an association (PS3.8 9.3), as bytes and in words.

pynetdicom encodes and decodes; it is imported where it is used, since that takes a while.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from gadgetron_qsm import __version__

ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 2, 3, 4, 5, 6, 7  # types
RELEASE = struct.pack(">BxIxxxx", RELEASE_RQ, 4)
RELEASED = struct.pack(">BxIxxxx", RELEASE_RP, 4)
ABORTED = struct.pack(">BxIxxBB", ABORT, 4, 0, 0)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = "2.25.145056291832408406233297252195170836961"  # of this software, for good
LONGEST_RECEIVED = 16382  # of the data of one unit, what we allow a node

Context = tuple[str, str]  # abstract syntax, transfer syntax

PERMANENT, USER, ACSE, PRESENTATION = 1, 1, 2, 3
REJECTIONS: Mapping[tuple[int, int], str] = {  # (source, reason), PS3.8 table 9-21
    (USER, 1): "it refused the association without a reason; see its log",
    (USER, 2): "it knows no DICOM application context; it is no DICOM node",
    (USER, 3): "it does not know our title '{calling}'; enter it there, or correct ours",
    (USER, 7): "it is not titled '{called}'; correct the node's title",
    (ACSE, 1): "it refused the association without a reason; see its log",
    (ACSE, 2): "it speaks another version of the DICOM protocol",
    (PRESENTATION, 1): "it is congested; it will be tried again",
    (PRESENTATION, 2): "it has as many associations as it allows; it will be tried again",
}


def associate_request(calling: str, called: str, contexts: Sequence[Context]) -> bytes:
    """Return the request; the contexts are numbered 1, 3, 5 ... in their order."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        MaximumLengthNotification,
    )
    from pynetdicom.presentation import build_context

    length = MaximumLengthNotification()
    length.maximum_length_received = LONGEST_RECEIVED
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = f"GQSM_{__version__}"[:16]
    request = A_ASSOCIATE()
    request.application_context_name = APPLICATION_CONTEXT
    request.calling_ae_title, request.called_ae_title = calling, called
    request.user_information = [length, implementation, version]
    offered = [build_context(abstract, [transfer]) for abstract, transfer in contexts]
    for number, context in enumerate(offered):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = offered
    unit = A_ASSOCIATE_RQ()
    unit.from_primitive(request)
    return unit.encode()


def accepted_contexts(unit: bytes) -> tuple[set[int], int]:
    """Return the numbers of what an A-ASSOCIATE-AC accepts, and how long our units may be (0: any).

    Raises ValueError when it cannot be read.
    """
    from pynetdicom.pdu import A_ASSOCIATE_AC

    answer = A_ASSOCIATE_AC()
    try:
        answer.decode(unit)
        user = answer.user_information
        longest = user.maximum_length if user else 0
        taken = {i.context_id for i in answer.presentation_context if i.context_id and not i.result}
    except Exception as error:  # pynetdicom raises whatever its decoder stumbles over
        raise ValueError("not an A-ASSOCIATE-AC") from error
    return taken, longest or 0


def rejection(body: bytes, calling: str, called: str) -> str:
    """Say why an A-ASSOCIATE-RJ refuses, and what to do; raises ValueError when it is none."""
    _, _, source, reason = body
    known = REJECTIONS.get((source, reason))
    if known is None:
        return f"it refused the association (source {source}, reason {reason}); see its log"
    return known.format(calling=calling, called=called)


def data_units(context: int, head: int, data: bytes | memoryview, longest: int) -> Iterator[bytes]:
    """Cut a command (head 1) or data set (head 0) into P-DATA-TF of at most `longest` bytes.

    PS3.8 9.3.5 and E.2: each holds one fragment; the last one's head has the bit 2 too.
    """
    view = memoryview(data)
    step = longest - 6
    for start in range(0, len(data), step):
        part = view[start : start + step]
        last = 2 if start + step >= len(data) else 0
        size = len(part)
        yield struct.pack(">BxIIBB", P_DATA, size + 6, size + 2, context, head | last) + part


def fragments(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Context number, head and data of each fragment in a P-DATA-TF.

    Raises ValueError when it is not made of fragments.
    """
    start = 0
    while start < len(body):
        if start + 6 > len(body):
            raise ValueError("a fragment is cut short")
        size, context, head = struct.unpack_from(">IBB", body, start)
        end = start + 4 + size
        if size < 2 or end > len(body):
            raise ValueError("a fragment is longer than its unit")
        yield context, head, body[start + 6 : end]
        start = end
