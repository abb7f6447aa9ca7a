"""What goes on in an association of pynetdicom: kept going, and remembered for who asks why."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pynetdicom import _config, evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import P_DATA

from gadgetron_qsm.delivery import refusals

FRAME = 6  # bytes of a unit of data that are none, PS3.8 9.3.5; 0 allows any length
INVALID_UNIT = "Evt19"  # to the upper layer's state machine, PS3.8 9.2
QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Watch:
    """Watches one association, by pynetdicom's events; no byte may take longer than `timeout_s`."""

    def __init__(self, timeout_s: float) -> None:
        self.ending = ""  # the action of PS3.8 9.2 that ended the association
        self.silent = False  # it was our socket that broke off, after the timeout
        self.refusal: tuple[int | None, int | None] | None = None  # source, reason
        self.answered = 0  # ID of the message that the last answer belongs to
        self._timeout_s = timeout_s
        self._moved = time.monotonic()  # when bytes last went either way
        self._socket: socket.socket | None = None
        self._association: Any = None

    @property
    def handlers(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Handlers of events for pynetdicom."""
        return [
            (evt.EVT_ACSE_SENT, self._on_request),
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_DATA_SENT, self._on_move),
            (evt.EVT_DATA_RECV, self._on_move),
            (evt.EVT_PDU_RECV, self._on_unit),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_FSM_TRANSITION, self._on_transition),
        ]

    def wait(self) -> None:
        """Begin to wait for the node."""
        self._moved = time.monotonic()

    def close(self) -> None:
        """End pynetdicom's threads, which may still read, before their socket is another's."""
        if self._socket is None:
            return
        if self.ending != refusals.RELEASED:  # which is still to be answered
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._association.kill()
        self._socket.close()

    def _on_request(self, event: evt.Event) -> None:
        """Take hold of what would be lost if the association does not come about."""
        link: Any = event.assoc.dul.socket
        self._association, self._socket = event.assoc, link.socket or self._socket

    def _on_open(self, event: evt.Event) -> None:
        """Let no byte wait longer than the timeout, and none of ours for others."""
        link: Any = event.assoc.dul.socket
        self._socket = link.socket
        link.socket.settimeout(self._timeout_s)
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        event.assoc.dimse = _Answers(event.assoc)

    def _on_move(self, _: evt.Event) -> None:
        """Note that the node still works, and let its next bytes be acknowledged without delay.

        A node that writes the parts of an answer one by one without TCP_NODELAY (DCMTK's programs
        and Orthanc do) sends the next when the last is acknowledged, which a receiver otherwise
        puts off for 40 ms: twenty objects a second instead of hundreds. The kernel forgets the
        wish, so that it is renewed each time.
        """
        self._moved = time.monotonic()
        if QUICK_ACK is not None and self._socket is not None:
            with suppress(OSError):  # closed meanwhile
                self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)

    def _on_unit(self, event: evt.Event) -> None:
        """Keep a rejection's reason, and stop units that would end pynetdicom's thread."""
        unit = event.pdu
        if isinstance(unit, A_ASSOCIATE_RJ):
            self.refusal = unit.source, unit.reason_diagnostic
        try:
            meant: Any = unit.to_primitive()
            if isinstance(unit, A_ASSOCIATE_AC) and not _has_room(meant.maximum_length_received):
                raise ValueError("no room for data")
        except Exception:  # it raises whatever it stumbles over, for reserved reasons too
            event.assoc.dul.event_queue.put(INVALID_UNIT)

    def _on_message(self, event: evt.Event) -> None:
        command = event.message.command_set
        self.answered = command.get("MessageIDBeingRespondedTo", self.answered)

    def _on_transition(self, event: evt.Event) -> None:
        """Note what ends the association, let it end, and wake who waits for an answer."""
        if self.ending or event.action not in refusals.ENDINGS:
            return
        self.ending = event.action
        waited = time.monotonic() - self._moved
        self.silent = event.action == refusals.BROKEN_OFF and waited >= self._timeout_s
        if event.action == refusals.RELEASED:
            event.assoc.is_established = False  # else pynetdicom aborts what it has released
            event.assoc.acse.send_release(is_response=True)
        event.assoc.dimse.msg_queue.put((None, None))


class _Answers(DIMSEServiceProvider):
    """Gives messages only to those who wait for one, never to the association's reactor thread.

    pynetdicom pauses that thread before a request and believes it paused a moment too early: when
    the system then lets it sleep for as long as the node takes to answer, it wakes, takes the
    answer and throws it away, and whoever waits for it does so until the timeout. On two busy
    cores that was one answer in 1800 of small objects (13 of 24000 C-STOREs to storescp). The
    thread takes without waiting and those who asked wait, so that they can be told apart; reports
    of commitment have threads of their own.
    """

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message and its context's ID to whoever waits for it."""
        return super().get_msg(block=True) if block else (None, None)

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a part of a message; one that cannot be read ends the association."""
        try:
            super().receive_primitive(primitive)
        except Exception:  # it raises whatever it stumbles over
            self.dul.event_queue.put(INVALID_UNIT)


def _has_room(longest: int | None) -> bool:
    """Tell whether units may be long enough to hold data."""
    return longest is not None and (longest == 0 or longest > FRAME)


def quiet() -> None:
    """Keep pynetdicom's own account of every message out of the log, and spare it the work."""
    _config.LOG_HANDLER_LEVEL = "none"
    logger = logging.getLogger("pynetdicom")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
