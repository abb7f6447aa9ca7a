"""The DICOM nodes of the settings, and what waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from gadgetron_qsm.delivery import database
from gadgetron_qsm.delivery.deliver import folder_of, nodes_of, terms_of
from gadgetron_qsm.delivery.letters import Line, lines
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.store import echo
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.outgoing import STATES
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.site.findings import Finding

ECHO_S = 5.0  # that a node may take at each step of an echo
LATE_S = 3600.0  # that objects may wait before somebody should look


def nodes(store: StoreSettings) -> Iterator[Finding]:
    """Ask each node whether it answers (C-ECHO); what is for one that does not waits."""
    caller = terms_of(store).caller
    caller = replace(caller, timeout_s=min(caller.timeout_s, ECHO_S))
    for node in nodes_of(store):
        yield _asked(node, caller)


def _asked(node: Node, caller: Caller) -> Finding:
    try:
        echo(node, caller)
    except Later as error:
        return Finding("warning", "archive", f"{error} (until then what is for it waits)")
    return Finding("ok", "archive", f"{node.name}: it answers")


def outbox(store: StoreSettings) -> Iterator[Finding]:
    """Tell what waits in the outbox; one that cannot be used is an error."""
    folder = folder_of(store.outbox)
    try:
        (folder / database.NAME).stat()
        with Outbox(folder) as opened:
            found = lines(opened)
    except FileNotFoundError:  # not to be made by who only looks
        return
    except QsmError as error:
        yield Finding("error", "outbox", str(error))
        return
    except OSError as error:
        text = f"{folder} cannot be read: {error.strerror}; run as the service's user"
        yield Finding("error", "outbox", text)
        return
    for line in found:
        yield _told(line)
    if not found:
        yield Finding("ok", "outbox", "nothing waits")


def _told(line: Line) -> Finding:
    text = f"{line.objects} objects {STATES[line.state]} '{line.node}'"
    if line.state == "dead":
        look = "see 'gadgetron-qsm outbox list'"
        return Finding("warning", "outbox", f"{text}: {line.error}; {look}")
    age_s = time.time() - line.oldest_at
    if age_s > LATE_S:
        why = line.error or "no answer yet"
        return Finding("warning", "outbox", f"{text} for {age_s / 3600:.1f} h: {why}")
    return Finding("ok", "outbox", text)
