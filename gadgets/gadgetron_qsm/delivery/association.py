"""An association with a node as its requestor, by pynetdicom: it never waits for ever.

Imports pynetdicom, which takes a while: import this module where an association is needed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.presentation import build_context

from gadgetron_qsm import __version__
from gadgetron_qsm.delivery import probe, refusals, tls
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.watch import Watch, quiet
from gadgetron_qsm.errors import UsageError

IMPLEMENTATION = UID("2.25.145056291832408406233297252195170836961")  # of this software, for good
IDLE_S = 60.0  # after so long without a request, or a pause of the node, the association is ended
SLOWEST = 250_000  # bytes a second that a network must carry

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
        self._watch = Watch(caller.timeout_s)
        quiet()
        self._association: Any
        self._associate(offered, handlers)
        accepted = self._association.accepted_contexts
        self.accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in accepted}
        if not self._association.is_established and not self._association.rejected_contexts:
            self._watch.close()
            raise self.later(self._why_not())

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if self._watch.ending:
                pass
            elif kind is None or issubclass(kind, Later | GeneratorExit):
                self._association.release()
            else:
                self._association.abort()
        finally:
            self._watch.close()

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
        try:
            socket.getaddrinfo(self.node.host, self.node.port)  # some pynetdicom hide its failure
            secure = (tls.context_of(self._caller), self.node.host) if self.node.tls else None
            self._association = entity.associate(
                self.node.host,
                self.node.port,
                contexts=[build_context(abstract, [transfer]) for abstract, transfer in offered],
                ae_title=self.node.title,
                tls_args=secure,
                evt_handlers=[*self._watch.handlers, *handlers],
            )
        except UsageError as error:
            raise self.later(str(error)) from error
        except (OSError, UnicodeError) as error:  # before it connects
            raise self.later(probe.unreachable(error, self.node, self._caller)) from error

    def _ask(self, message: int, send: Callable[..., Dataset], *values: Any, **more: Any) -> int:
        """Send a request with the ID `message` and return the status of its response."""
        self._watch.wait()
        try:
            answer = send(*values, msg_id=message, **more)
        except RuntimeError as error:  # it ended since the last request
            raise self.later(self._why()) from error
        if "Status" not in answer:
            raise self.later(self._why())
        if self._watch.answered != message:
            raise self.later("its answer belongs to no question of ours; see its log")
        return int(answer.Status)

    def _why(self) -> str:
        """Say why no answer came."""
        if not self._watch.ending or self._watch.silent:
            return refusals.silence(self._caller)
        return refusals.ending(self._watch.ending, self.node)

    def _why_not(self) -> str:
        """Say why there is no association."""
        if self._watch.refusal:
            return refusals.rejection(*self._watch.refusal, self._caller, self.node)
        if self._watch.ending in (refusals.BROKEN_OFF, refusals.NO_DICOM):
            found = probe.probe(self.node, self._caller)
            if found or (self._watch.ending == refusals.BROKEN_OFF and not self.node.tls):
                return found or refusals.UNEXPLAINED
        return self._why()
