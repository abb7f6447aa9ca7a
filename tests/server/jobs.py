"""Jobs for workers: a client's texts say what becomes of its scan."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import Acquisition, Text
from gadgetron_qsm.server.ledger import Ledger

_ledger: Ledger | None = None


@dataclass(frozen=True)
class Told:
    """Does what the client's texts say, counts its readouts, and says who served."""

    inside_gadgetron: bool = False
    silence_s: float = 30.0
    after_last_s: float | None = None
    left: str = ""
    broken: Path | None = None  # while this file is there, nothing can get ready

    def fail(self, connection: Connection, line: str) -> None:
        if self.inside_gadgetron:
            connection.fail_inside_gadgetron(line)
        else:
            connection.fail_as_server(line)

    def kept(self, process: int, since: float) -> str:
        assert 0 <= time.time() - since < 60
        return self.left.format(process=process)

    def prepare(self, ledger: Ledger) -> None:
        global _ledger
        _ledger = ledger
        ledger.reserve(1)  # as a rehearsal does
        if self.broken and self.broken.exists():
            raise QsmError("nothing works here")

    def handle(self, connection: Connection) -> None:
        readouts = 0
        for message in connection:
            if isinstance(message, Text):
                name, _, value = message.text.partition(" ")
                WHAT[name](connection, value)
            elif isinstance(message, Acquisition):
                readouts += 1
        if not self.inside_gadgetron:
            connection.send(Text(f"{os.getpid()} {readouts}"))


class Mute(Told):
    """Cannot tell a client why there is no result."""

    def fail(self, connection: Connection, line: str) -> None:  # noqa: ARG002
        raise RuntimeError(f"not told: {line}")


def _raise(kind: type[Exception]) -> Callable[[Connection, str], None]:
    def act(_: Connection, text: str) -> None:
        raise kind(text)

    return act


def _work(_: Connection, seconds: str) -> None:
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        time.sleep(0.05)


def _plan(connection: Connection, size: str) -> None:
    assert _ledger
    free = _ledger.reserve(int(size))
    connection.send(Text("planned" if int(size) <= free else "refused"))


WHAT: dict[str, Callable[[Connection, str], None]] = {
    "say": lambda connection, text: connection.send(Text(f"{text} {os.getpid()}")),
    "work": _work,
    "plan": _plan,
    "refuse": _raise(QsmError),
    "fault": _raise(RuntimeError),
    "die": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
}
