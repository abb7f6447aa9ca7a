"""Peers that misbehave as they are told, and nodes that answer with given statuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydicom.uid import MRImageStorage

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

    from gadgetron_qsm.delivery.association import quiet

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
