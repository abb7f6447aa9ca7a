"""An association with a node as its requestor, by pynetdicom: it never waits for ever.

Imports pynetdicom, which takes a while: import this module where an association is needed.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import build_context

from gadgetron_qsm import __version__
from gadgetron_qsm.delivery import probe, refusals, tls
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.errors import UsageError

IMPLEMENTATION = UID("2.25.145056291832408406233297252195170836961")  # of this software, for good
IDLE_S = 60.0  # after so long without a request, or a pause of the node, the association is ended
SLOWEST = 250_000  # bytes a second that a network must carry
FRAME = 6  # bytes of a unit of data that are none, PS3.8 9.3.5; 0 allows any length
INVALID_UNIT = "Evt19"  # to the upper layer's state machine, PS3.8 9.2
QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux

Context = tuple[str, str]  # abstract syntax, transfer syntax
Handlers = Iterable[tuple[Any, Callable[..., Any]]]


class Association:
    """An association while its `with` lasts; whatever goes wrong with it raises Later.

    `offered` are pairs of abstract and transfer syntax, so that the node says of each whether it
    takes it: `accepted` are those that it does. `handlers` are more of pynetdicom's.
    """

    def __init__(
        self, node: Node, caller: Caller, offered: Sequence[Context], handlers: Handlers = ()
    ) -> None:
        self.node = node
        self._caller = caller
        self._socket: socket.socket | None = None
        self._moved = time.monotonic()  # when bytes last went either way
        self._ending = ""  # the action of PS3.8 9.2 that ended it
        self._silent = False  # it was our socket that broke off, after the timeout
        self._refusal: tuple[int | None, int | None] | None = None  # source, reason
        self._answered = 0  # ID of the message that the last answer belongs to
        quiet()
        self._association: Any
        self._associate(offered, handlers)
        accepted = self._association.accepted_contexts
        self.accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in accepted}
        if not self._association.is_established and not self._association.rejected_contexts:
            self._close()
            raise self.later(self._why_not())

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if self._ending:
                pass
            elif kind is None or issubclass(kind, Later | GeneratorExit):
                self._association.release()
            else:
                self._association.abort()
        finally:
            self._close()

    def store(self, dataset: Dataset, message: int, size: int) -> int:
        """Store an object of about `size` bytes; return the status (C-STORE, PS3.7 9.1.1).

        Raises ValueError or AttributeError when the data set cannot be sent.
        """
        self._association.dimse_timeout = self._caller.timeout_s + size / SLOWEST
        return self._ask(message, self._association.send_c_store, dataset, priority=0)

    def echo(self) -> int:
        """Return the status of a verification (C-ECHO, PS3.7 9.1.5)."""
        return self._ask(1, self._association.send_c_echo)

    def act(self, information: Dataset, action: int, class_uid: str, instance_uid: str) -> int:
        """Return the status of an action (N-ACTION, PS3.7 10.1.4)."""
        send = self._association.send_n_action
        return self._ask(1, lambda **k: send(information, action, class_uid, instance_uid, **k)[0])

    def later(self, why: str) -> Later:
        """Return the line for people: the node's name, and why nothing goes there now."""
        return Later(f"{self.node.name}: {why}")

    def _associate(self, offered: Sequence[Context], handlers: Handlers) -> None:
        entity = AE(self._caller.title)
        entity.implementation_class_uid = IMPLEMENTATION
        entity.implementation_version_name = f"GQSM_{__version__}"[:16]
        entity.acse_timeout = entity.connection_timeout = self._caller.timeout_s
        entity.dimse_timeout = self._caller.timeout_s
        entity.network_timeout = max(IDLE_S, self._caller.timeout_s)
        ours = [
            (evt.EVT_ACSE_SENT, self._on_request),
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_DATA_SENT, self._on_move),
            (evt.EVT_DATA_RECV, self._on_move),
            (evt.EVT_PDU_RECV, self._on_unit),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_FSM_TRANSITION, self._on_transition),
        ]
        try:
            secure = (tls.context_of(self._caller), self.node.host) if self.node.tls else None
            self._association = entity.associate(
                self.node.host,
                self.node.port,
                contexts=[build_context(abstract, [transfer]) for abstract, transfer in offered],
                ae_title=self.node.title,
                tls_args=secure,
                evt_handlers=[*ours, *handlers],
            )
        except UsageError as error:
            raise self.later(str(error)) from error
        except (OSError, UnicodeError) as error:  # before it connects
            raise self.later(probe.unreachable(error, self.node, self._caller)) from error

    def _ask(self, message: int, send: Callable[..., Dataset], *values: Any, **more: Any) -> int:
        """Send a request with the ID `message` and return the status of its response."""
        self._moved = time.monotonic()
        try:
            answer = send(*values, msg_id=message, **more)
        except RuntimeError as error:  # it ended since the last request
            raise self.later(self._why()) from error
        if "Status" not in answer:
            raise self.later(self._why())
        if self._answered != message:
            raise self.later("its answer belongs to no question of ours; see its log")
        return int(answer.Status)

    def _why(self) -> str:
        """Say why no answer came."""
        if not self._ending or self._silent:
            return refusals.silence(self._caller)
        return refusals.ending(self._ending, self.node)

    def _why_not(self) -> str:
        """Say why there is no association."""
        if self._refusal:
            return refusals.rejection(*self._refusal, self._caller, self.node)
        if self._ending in (refusals.BROKEN_OFF, refusals.NO_DICOM):
            found = probe.probe(self.node, self._caller)
            if found or (self._ending == refusals.BROKEN_OFF and not self.node.tls):
                return found or refusals.UNEXPLAINED
        return self._why()

    def _close(self) -> None:
        """End pynetdicom's threads, which may still read, before their socket is another's."""
        if self._socket is None:
            return
        if self._ending != refusals.RELEASED:  # which is still to be answered
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
        link.socket.settimeout(self._caller.timeout_s)
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
            self._refusal = unit.source, unit.reason_diagnostic
        try:
            meant: Any = unit.to_primitive()
            if isinstance(unit, A_ASSOCIATE_AC) and not _has_room(meant.maximum_length_received):
                raise ValueError("no room for data")
        except Exception:  # it raises whatever it stumbles over, for reserved reasons too
            event.assoc.dul.event_queue.put(INVALID_UNIT)

    def _on_message(self, event: evt.Event) -> None:
        command = event.message.command_set
        self._answered = command.get("MessageIDBeingRespondedTo", self._answered)

    def _on_transition(self, event: evt.Event) -> None:
        """Note what ends the association, let it end, and wake who waits for an answer."""
        if self._ending or event.action not in refusals.ENDINGS:
            return
        self._ending = event.action
        waited = time.monotonic() - self._moved
        self._silent = event.action == refusals.BROKEN_OFF and waited >= self._caller.timeout_s
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
