"""Listening for what archives report of storage commitment, while we are the one who sends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gadgetron_qsm.delivery import promises
from gadgetron_qsm.delivery.nodes import Caller
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.delivery.tls import listening_context_of
from gadgetron_qsm.errors import QsmError

log = logging.getLogger(__name__)

RETRY_S = 60.0  # after the port could not be had


@dataclass(frozen=True)
class Place:
    """Where to listen, as whom, and, for TLS, with whose certificate."""

    host: str
    port: int
    title: str
    encrypted_by: Caller | None = None


class Listening:
    """A listener at the place that the terms of the nodes name, while a promise is waited for."""

    def __init__(
        self, folder: Path, listener: Callable[..., Any], clock: Callable[[], float]
    ) -> None:
        self._listener = listener
        self._report = promises.reports_to(folder, clock)
        self._place: Place | None = None
        self._not_before = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Listening:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def update(self, outbox: Outbox) -> None:
        """Listen where the nodes' terms now say; a port that cannot be had is tried again."""
        place = _place(outbox)
        if place == self._place or time.monotonic() < self._not_before:
            return
        self._open.close()
        self._place = None
        if place is None:
            return
        try:
            context = listening_context_of(place.encrypted_by) if place.encrypted_by else None
            listener = self._listener(place.host, place.port, place.title, self._report, context)
            self._open.enter_context(listener)
        except (QsmError, OSError) as error:
            self._not_before = time.monotonic() + RETRY_S
            log.error("storage commitment cannot be reported to us: %s", error)
            return
        self._place = place


def _place(outbox: Outbox) -> Place | None:
    """Return where to listen, None when nobody has something to report."""
    found = outbox.rows(
        """SELECT terms FROM node WHERE EXISTS (
            SELECT 1 FROM delivery WHERE node = name AND state <> 'dead') ORDER BY name"""
    )
    for (text,) in found:
        terms = Terms.from_text(text)
        if terms.commitment:
            caller = terms.caller if terms.commitment_tls else None
            return Place(terms.commitment_host, terms.commitment_port, terms.caller.title, caller)
    return None
