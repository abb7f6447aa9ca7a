"""One attempt at one node: store what waits for it, then ask it to commit itself to storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydicom.uid import generate_uid

from gadgetron_qsm.delivery import commitment, promises, queue
from gadgetron_qsm.delivery import store as storing
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.queue import Recipient, Unreadable
from gadgetron_qsm.delivery.store import Answer, Entry
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site.privacy import line_of

log = logging.getLogger(__name__)

Store = Callable[[Node, Caller, Iterable[Entry]], Generator[Answer, None, None]]
Ask = Callable[..., None]  # see commitment.ask


@dataclass(frozen=True)
class Network:
    """What reaches a node; tests put others in its place."""

    store: Store = storing.store
    ask: Ask = commitment.ask
    listener: Callable[..., Any] = commitment.Listener


@dataclass
class Attempt:
    """An attempt at a node, in one thread, until all is stored, `stopped`, or the node wants later.

    `unrecorded` holds answers that could not be written to a full disk: they are written before
    anything else is sent, so that no object goes twice.
    """

    outbox: Outbox
    recipient: Recipient
    network: Network
    stopped: Callable[[], bool]
    unrecorded: list[Answer] = field(default_factory=list)
    _unanswered: dict[str, None] = field(default_factory=dict)  # keys of what was read, in order
    _refused: list[str] = field(default_factory=list)  # why, in order

    def run(self) -> None:
        """Do what there is to do. Raises QsmError when the outbox cannot be written."""
        self._record()
        try:
            self._deliver()
        except Later as error:
            self._postpone(str(error).removeprefix(f"{self.recipient.name}: "))
        except QsmError:
            raise
        except Exception as error:
            log.exception("sending to node '%s' failed", self.recipient.name)
            self._postpone(line_of(error))
        self._tell_refused()
        queue.tried(self.outbox, self.recipient.name)
        self.outbox.tidy()

    def _deliver(self) -> None:
        while not self.stopped() and (entries := queue.waiting(self.outbox, self.recipient.name)):
            self._store(entries)
        if not self.recipient.terms.commitment:
            promises.unnecessary(self.outbox, self.recipient.name)
        while not self.stopped() and (references := self._unasked()):
            self._ask(references)

    def _unasked(self) -> list[tuple[str, str]]:
        return promises.unasked(self.outbox, self.recipient.name)

    def _store(self, entries: list[queue.Entry]) -> None:
        """Store a batch over one association; raises Later."""
        watched = [replace(entry, read=partial(self._read, entry)) for entry in entries]
        caller, answered = self.recipient.terms.caller, 0
        try:
            answers = self.network.store(self.recipient.node, caller, watched)
            with closing(answers):  # which ends the association
                for answer in answers:
                    answered += 1
                    self._unanswered.pop(answer.key, None)
                    self.unrecorded.append(answer)
                    self._record()
                    if self.stopped():
                        break
        except Unreadable as error:
            self._set_aside(str(error))
            return
        log.info("node '%s' answered for %d objects", self.recipient.name, answered)
        if not answered:
            raise Later("it answered for none of the objects; see its log")

    def _read(self, entry: queue.Entry) -> bytes:
        self._unanswered[entry.key] = None
        return queue.read(self.outbox, entry.key)

    def _record(self) -> None:
        while self.unrecorded:
            answer = self.unrecorded[0]
            if answer.refused is None:
                queue.stored(self.outbox, self.recipient, answer.key)
            else:
                self._refuse(answer.key, answer.refused)
            self.unrecorded.pop(0)

    def _set_aside(self, reason: str) -> None:
        """Take what cannot be read out of the others' way."""
        self._refuse(self._unanswered.popitem()[0], reason)

    def _refuse(self, key: str, reason: str) -> None:
        queue.refused(self.outbox, self.recipient, key, reason)
        self._refused.append(reason)

    def _tell_refused(self) -> None:
        if self._refused:
            log.error(
                "%d objects are not delivered to node '%s': %s; see 'gadgetron-qsm outbox list'",
                len(self._refused),
                self.recipient.name,
                "; ".join(dict.fromkeys(self._refused)),
            )

    def _ask(self, references: list[tuple[str, str]]) -> None:
        transaction_uid = str(generate_uid(prefix=None))
        promises.asking(self.outbox, self.recipient, transaction_uid)
        self.network.ask(
            self.recipient.node,
            self.recipient.terms.caller,
            transaction_uid,
            references,
            on_result=promises.reports_to(self.outbox.folder, self.outbox.clock),
        )
        promises.asked(self.outbox, self.recipient, [uid for _, uid in references])

    def _postpone(self, reason: str) -> None:
        name = self.recipient.name
        found = queue.postponed(self.outbox, self.recipient, reason, self._unanswered)
        if found.waiting:
            log.warning(
                "%d objects wait for node '%s': %s; next attempt in %.0f s",
                found.waiting,
                name,
                reason,
                found.pause_s,
            )
        if found.given_up:
            log.error(
                "%d objects for node '%s' were given up: %s; 'gadgetron-qsm outbox retry' sends "
                "them again",
                found.given_up,
                name,
                reason,
            )
