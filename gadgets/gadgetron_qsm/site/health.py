"""Is a server that runs well: for monitors, which ask every few seconds and read the exit status.

Loads nothing that takes long, for as long as it asks for the server alone.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import HEALTH, Close, Message, Query, Response, Text
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.site.findings import Finding, Level

WORST_FIRST = ("error", "warning", "ok")
SERVER = "server"
BUSY = "busy"  # how a refusal begins that is for scans that run, and no fault


def health(host: str, port: int, timeout_s: float, config: str | None = None) -> list[Finding]:
    """Ask the server there, and look at the disks and the outbox of its configuration, if named.

    The worst comes first. Raises UsageError for a configuration that there is not.
    """
    found = [server(host, port, timeout_s)]
    if config is not None:
        found += _of_the_machine(config)
    return sorted(found, key=lambda finding: WORST_FIRST.index(finding.level))


def server(host: str, port: int, timeout_s: float) -> Finding:
    """Have a worker of the server answer a query, having computed a little on its device.

    One that refuses since it is busy is well.
    """
    start, where = time.monotonic(), f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout_s) as sock:
            answers = list(_asked(sock, start + timeout_s))
    except TimeoutError:
        text = f"{where} does not answer within {timeout_s:g} s; see its log"
        return Finding("error", SERVER, text)
    except OSError as error:
        text = f"nobody listens at {where} ({error.strerror or error}); start it"
        return Finding("error", SERVER, text)
    except QsmError as error:
        return Finding("error", SERVER, f"what listens at {where} does not speak MRD: {error}")
    took = f"{where} answered in {time.monotonic() - start:.2f} s"
    for answer in answers:
        if isinstance(answer, Response):
            return _read(answer.text, took)
        if isinstance(answer, Text):
            text = " ".join(answer.text.removeprefix("ERROR").split())
            level: Level = "ok" if text.startswith(BUSY) else "error"
            return Finding(level, SERVER, f"{took}, and takes no scan now: {text}")
    return Finding("error", SERVER, f"{took}, but not what was asked; it is no gadgetron-qsm")


def _asked(sock: socket.socket, end: float) -> Iterator[Message]:
    """Ask, and give what comes back to CLOSE."""
    question = BytesIO()
    write_message(question, Query(1, HEALTH))
    write_message(question, Close())
    with suppress(ConnectionError):  # it may have refused already, and said why
        sock.sendall(question.getbuffer())
    with sock.makefile("rb") as stream:
        while not isinstance(message := read_message(stream), Close):
            yield message
            sock.settimeout(max(0.001, end - time.monotonic()))


def _read(text: str, took: str) -> Finding:
    try:
        told = json.loads(text)
        version, process, problem = told["version"], told["process"], told["problem"]
    except (ValueError, KeyError, TypeError):
        return Finding("error", SERVER, f"{took}, but not as gadgetron-qsm does: {text[:80]!r}")
    who = f"{took}: gadgetron-qsm {version}, process {process}"
    if problem:
        return Finding("error", SERVER, f"{who}: {problem}; start it again")
    return Finding("ok", SERVER, f"{who}, computes on the {told.get('computes_on')}")


def _of_the_machine(config: str) -> Iterator[Finding]:
    from gadgetron_qsm import configs
    from gadgetron_qsm.mrd.properties import read_properties
    from gadgetron_qsm.settings import Settings
    from gadgetron_qsm.site import archives, disk

    settings = Settings.from_properties(read_properties(configs.read(config)))
    yield from disk.disks(settings)
    if settings.store.nodes:
        yield from archives.outbox(settings.store)
