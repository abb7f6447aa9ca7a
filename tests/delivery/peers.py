"""Peers that misbehave as they are told, and nodes that answer with given statuses."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian, MRImageStorage

from gadgetron_qsm.delivery.commitment import PUSH_MODEL
from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.store import VERIFICATION
from tests.delivery.servers import HOST

CLASSES = (VERIFICATION, PUSH_MODEL, MRImageStorage)


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[Node]:
    """Listen, hand each connection to `behave` and close it then; give the node that this is."""
    listener = socket.create_server((HOST, 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if not ended.is_set():
                    with suppress(OSError):  # we hung up
                        behave(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Node("peer", "PEER", HOST, listener.getsockname()[1])
    finally:
        ended.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join()
        listener.close()


@contextmanager
def scripted(
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
    classes: Sequence[str] = CLASSES,
    **settings: Any,
) -> Iterator[Node]:
    """Start a node by pynetdicom that takes some SOP classes.

    `handlers` are pynetdicom's; `settings` are attributes of its application entity.
    """
    from pynetdicom import AE

    from gadgetron_qsm.delivery.watch import quiet

    quiet()
    entity = AE("SCRIPTED")
    for class_uid in classes:
        entity.add_supported_context(class_uid)
    for name, value in settings.items():
        setattr(entity, name, value)
    server = entity.start_server((HOST, 0), block=False, evt_handlers=list(handlers))
    try:
        yield Node("scripted", "SCRIPTED", HOST, server.server_address[1])
    finally:
        entity.shutdown()


def accepting(
    class_uid: str = VERIFICATION, syntax: str = ImplicitVRLittleEndian, longest: int = 16382
) -> bytes:
    """Return an answer that accepts the first context, and units of data of up to `longest`."""
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )
    from pynetdicom.presentation import build_context

    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = longest
    implementation.implementation_class_uid = "1.2.3"  # type: ignore[assignment]
    context = build_context(class_uid, [syntax])
    context.context_id, context.result = 1, 0
    answer = A_ASSOCIATE()
    answer.application_context_name = "1.2.840.10008.3.1.1.1"  # type: ignore[assignment]
    answer.calling_ae_title, answer.called_ae_title = "A", "B"
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = [context]
    answer.user_information = [length, implementation]
    return A_ASSOCIATE_AC(answer).encode()


def response(field: int, message: int = 1, status: int = 0) -> bytes:
    """Return a response without a data set, in context 1."""
    from pynetdicom.dsutils import encode

    command = Dataset()
    command.CommandField, command.MessageIDBeingRespondedTo = field, message
    command.CommandDataSetType, command.Status = 0x0101, status
    body = encode(command, True, True) or b""
    return struct.pack(">BxIIBB", 4, len(body) + 6, len(body) + 2, 1, 3) + body
