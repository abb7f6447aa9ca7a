"""The one entry for whoever makes objects: put them, and they are delivered."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset

from gadgetron_qsm.delivery.letters import Line
from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.outgoing_sections import StoreSettings

LAST_OBJECT_S = 10.0  # for the object in flight when the process ends

_senders: dict[Path, Sender] = {}
_opening = threading.Lock()


class Delivery:
    """Puts objects in the outbox of the settings, and tells the sender of this process."""

    def __init__(self, settings: StoreSettings, sender: Sender) -> None:
        self._nodes, self._terms = nodes_of(settings), terms_of(settings)
        self._sender = sender

    def put(self, objects: Iterable[Dataset | bytes]) -> int:
        """Keep the objects of one series for all nodes, or none and raise QsmError.

        When it returns they are on the disk and will be delivered, whatever happens to this
        process. Objects are data sets, or bytes of Part 10 files. Returns how many deliveries
        there are to do: none for objects that the nodes have confirmed before.
        """
        with Outbox(self._sender.folder) as outbox:
            deliveries = outbox.put(objects, self._nodes, self._terms)
        self._sender.notify()
        return deliveries

    def flush(self, timeout_s: float) -> list[Line]:
        """Try now to deliver everything, once, for a process that ends; return what is left."""
        return self._sender.flush(timeout_s)

    def stop(self, timeout_s: float | None = None) -> bool:
        """End sending in this process, after the object in flight; tell whether it has ended."""
        return self._sender.stop(timeout_s)


def opened(settings: StoreSettings) -> Delivery | None:
    """Return the delivery of the settings, which sends in the background; None without nodes.

    A process has one sender for each outbox; it ends with the process, which waits for the answer
    to the object in flight. What waits for the nodes gets the addresses and terms of these
    settings. Raises QsmError when there is no room.
    """
    if not settings.nodes:
        return None
    folder = folder_of(settings.outbox)
    with Outbox(folder) as outbox:
        outbox.configure(nodes_of(settings), terms_of(settings))
    with _opening:
        if folder not in _senders:
            _senders[folder] = Sender(folder)
            end = threading.Thread(target=_end, args=(_senders[folder],), name="outbox-end")
            end.start()
        _senders[folder].start()
    return Delivery(settings, _senders[folder])


def _end(sender: Sender) -> None:
    """Stop sending when the main thread has ended.

    What atexit knows of is too late: it comes when all threads have ended, and that of a
    pynetdicom association, which is no daemon, lasts as long as there is something to send.
    """
    threading.main_thread().join()
    sender.stop(LAST_OBJECT_S)


def folder_of(outbox: Path | None) -> Path:
    """Return the folder of an outbox, by default in the user's state folder.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if outbox is not None:
        return outbox.expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "gadgetron-qsm" / "outbox"


def nodes_of(settings: StoreSettings) -> list[Node]:
    """Return the nodes of the settings."""
    return [Node.parse(text) for text in settings.nodes]


def terms_of(settings: StoreSettings) -> Terms:
    """Return who we are and what is asked of nodes, files by their absolute paths."""
    return Terms(
        Caller(
            settings.calling_title,
            _absolute(settings.ca_file),
            _absolute(settings.certificate_file),
            _absolute(settings.key_file),
            settings.timeout_s,
        ),
        settings.give_up_days,
        settings.commitment,
        settings.commitment_host,
        settings.commitment_port,
        settings.commitment_tls,
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()
