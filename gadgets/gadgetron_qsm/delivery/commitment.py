"""Storage commitment: a node says that it keeps what it was sent (PS3.4 annex J, push model)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from gadgetron_qsm.delivery.nodes import Caller, Node, check_title
from gadgetron_qsm.delivery.statuses import meaning_of
from gadgetron_qsm.errors import QsmError

if TYPE_CHECKING:
    import ssl

    from pynetdicom.events import Event

log = logging.getLogger(__name__)

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
OFFERED = (PUSH_MODEL, ImplicitVRLittleEndian)
REQUEST = 1  # action type
SILENT_S, MOST = 5, 100  # strangers, as those who look for open ports, must not keep archives out
PROCESSING_FAILURE = 0x0110
REASONS = {0x0112: "no such object instance (0112)", 0x0131: "duplicate transaction UID (0131)"}

# transaction UID; instances that are kept; instances that are not, and why
OnResult = Callable[[str, list[str], dict[str, str]], None]


def ask(
    node: Node,
    caller: Caller,
    transaction_uid: str,
    references: Sequence[tuple[str, str]],
    *,
    on_result: OnResult | None = None,
    wait_s: float = 1.0,
) -> None:
    """Ask a node to commit itself to keep `references`, each a SOP class and instance UID.

    The node reports later, to a Listener, or at once over the same association: for that this
    waits for `wait_s` when `on_result` is given. Raises Later when the node does not take the
    request.
    """
    from pynetdicom import evt

    from gadgetron_qsm.delivery.association import Association

    reported, replied = threading.Event(), threading.Event()

    def take(event: Event) -> tuple[int, None]:
        status = _report(event.event_information, on_result)
        reported.set()
        return status, None

    def sent(_: Event) -> None:
        if reported.is_set():
            replied.set()

    handlers = [(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, sent)]
    with Association(node, caller, [OFFERED], handlers) as association:
        if OFFERED not in association.accepted:
            raise association.later("it does not do storage commitment; allow it there or here not")
        request = _request(transaction_uid, references)
        status = association.act(request, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        if status != 0:
            raise association.later(f"it takes no storage commitment: {meaning_of(status)}")
        if on_result:
            replied.wait(wait_s)


class Listener:
    """Takes what nodes report about commitments, until its `with` ends.

    `on_result` is called from a thread of its own, perhaps several at a time; when it raises, the
    node is told that its report could not be processed, and reports again. Give `context` (of a
    server) for TLS. Raises QsmError when nothing can listen there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        title: str,
        on_result: OnResult,
        context: ssl.SSLContext | None = None,
    ) -> None:
        check_title(title)
        self.host, self.port, self.title = host, port, title
        self._on_result = on_result
        self._context = context
        self._entity: Any = None
        self._server: Any = None

    def __enter__(self) -> Listener:
        from pynetdicom import AE, evt

        from gadgetron_qsm.delivery.acceptor import Acceptor
        from gadgetron_qsm.delivery.watch import quiet

        quiet()
        self._entity = AE(self.title)
        self._entity.require_called_aet = True
        self._entity.acse_timeout, self._entity.maximum_associations = SILENT_S, MOST
        self._entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._handle)]
        try:
            self._server = self._entity.make_server(
                (self.host, self.port),
                ssl_context=self._context,
                evt_handlers=handlers,
                server_class=Acceptor,
            )
        except OSError as error:
            raise QsmError(
                f"cannot listen at {self.host}:{self.port} for storage commitment "
                f"({error.strerror}); choose another port or end what uses it"
            ) from error
        self.port = self._server.server_address[1]
        self._server.start()
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        self._server.end()

    def _handle(self, event: Event) -> tuple[int, None]:
        return _report(event.event_information, self._on_result), None


def _request(transaction_uid: str, references: Sequence[tuple[str, str]]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [_reference(*reference) for reference in references]
    return request


def _reference(class_uid: str, instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = class_uid, instance_uid
    return item


def _report(report: Dataset, on_result: OnResult | None) -> int:
    """Hand a report on; return the status for the node."""
    try:
        transaction = str(report.TransactionUID or "")
        kept = [str(i.ReferencedSOPInstanceUID) for i in report.get("ReferencedSOPSequence", [])]
        failed = {
            str(item.ReferencedSOPInstanceUID): _reason(item.get("FailureReason", 0))
            for item in report.get("FailedSOPSequence", [])
        }
        if on_result is None or not transaction:
            return PROCESSING_FAILURE
        on_result(transaction, kept, failed)
    except Exception as error:  # a node's report, and whoever takes it, must not end a thread
        log.warning("a report on storage commitment was not taken: %s", type(error).__name__)
        return PROCESSING_FAILURE
    return 0


def _reason(status: int) -> str:
    return REASONS.get(status) or meaning_of(status)
