"""What people ask of the outbox: what waits and why, dead letters, trying again, files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gadgetron_qsm.delivery.database import private, sync_folder
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.queue import Unreadable, read
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.report.files import replacing


@dataclass(frozen=True)
class Line:
    """What one node is still to get, in one state: waiting, sent (to be committed) or dead."""

    node: str
    state: str
    objects: int
    size_bytes: int
    oldest_at: float
    attempts: int
    next_at: float  # 0: nothing is planned, or it is due
    error: str


@dataclass(frozen=True)
class Letter:
    """An object that a node does not take, known by what says nothing of the patient."""

    node: str
    instance_uid: str
    series_number: str
    series_description: str
    error: str


def lines(outbox: Outbox) -> list[Line]:
    """Return what is still to be done, by node and state."""
    found = outbox.rows(
        """SELECT node, state, count(*), sum(size), min(put_at),
            CASE state WHEN 'waiting' THEN max(failures, max(attempts)) ELSE max(attempts) END,
            CASE state WHEN 'waiting' THEN max(node.next_at, min(delivery.next_at)) ELSE 0 END,
            CASE WHEN state = 'dead' OR node.error = '' THEN max(delivery.error)
                ELSE node.error END
        FROM delivery JOIN object ON id = object JOIN node ON name = node
        GROUP BY node, state ORDER BY node, state DESC"""
    )
    return [Line(*row) for row in found]


def confirmed(outbox: Outbox) -> dict[str, int]:
    """Return how many objects each node has confirmed within the last year."""
    return dict(outbox.rows("SELECT node, count(*) FROM confirmed GROUP BY node ORDER BY node"))


def dead(outbox: Outbox) -> list[Letter]:
    """Return the dead letters."""
    found = outbox.rows(
        """SELECT node, instance_uid, series_number, series_description, error
        FROM delivery JOIN object ON id = object WHERE state = 'dead' ORDER BY node, id"""
    )
    return [Letter(*row) for row in found]


def revive(outbox: Outbox, name: str | None = None) -> None:
    """Let the dead letters of a node, or of all, wait again."""
    _known(outbox, name)
    with outbox.transaction() as db:
        db.execute(
            """UPDATE delivery SET state = 'waiting', attempts = 0, failed_since = NULL, error = ''
            WHERE state = 'dead' AND node = coalesce(?, node)""",
            (name,),
        )


def hurry(outbox: Outbox, name: str | None = None) -> dict[str, int]:
    """End all pauses; return how many attempts the nodes that objects wait for have seen."""
    with outbox.transaction() as db:
        db.execute("UPDATE node SET next_at = 0 WHERE name = coalesce(?, name)", (name,))
        db.execute(
            """UPDATE delivery SET next_at = 0, asked_at = NULL
            WHERE state <> 'dead' AND node = coalesce(?, node)""",
            (name,),
        )
    return attempts(outbox, name)


def attempts(outbox: Outbox, name: str | None = None) -> dict[str, int]:
    """Return how many attempts the nodes have seen that objects wait for."""
    return dict(
        outbox.rows(
            """SELECT name, tries FROM node WHERE name = coalesce(:name, name) AND EXISTS (
            SELECT 1 FROM delivery WHERE node = name AND state = 'waiting'
                OR node = name AND state = 'sent' AND asked_at IS NULL)""",
            name=name,
        )
    )


def export(
    outbox: Outbox, folder: Path, name: str | None = None, *, only_dead: bool = False
) -> Iterator[tuple[Path, str]]:
    """Write what waits for a node, or any, as `<SOP instance UID>.dcm`; give file and key of each.

    They are on the disk when all have been given. Raises QsmError when one cannot be written, and
    at the end when some could not be read.
    """
    _known(outbox, name)
    found = outbox.rows(
        """SELECT id, instance_uid FROM object WHERE id IN (SELECT object FROM delivery
            WHERE node = coalesce(:name, node) AND (state = 'dead' OR NOT :only_dead))
        ORDER BY id""",
        name=name,
        only_dead=only_dead,
    )
    unreadable = 0
    for key, instance_uid in found:
        path = folder / f"{instance_uid}.dcm"
        try:
            data = read(outbox, str(key))
        except Unreadable:
            unreadable += 1
            continue
        with replacing(path) as part:
            _write(part, data)
        yield path, str(key)
    if found:
        sync_folder(folder)
    if unreadable:
        raise QsmError(f"{unreadable} objects are damaged; make and send their series again")


def remove(
    outbox: Outbox, keys: list[str], name: str | None = None, *, only_dead: bool = False
) -> None:
    """Take objects out, for a node or for all: they are not sent any more."""
    with outbox.transaction() as db:
        db.executemany(
            """DELETE FROM delivery WHERE object = ? AND node = coalesce(?, node)
            AND (state = 'dead' OR NOT ?)""",
            [(int(key), name, only_dead) for key in keys],
        )
    outbox.tidy()


def _known(outbox: Outbox, name: str | None) -> None:
    names = [known for (known,) in outbox.rows("SELECT name FROM node ORDER BY name")]
    if name is not None and name not in names:
        raise UsageError(f"no node '{name}' in the outbox; there are {', '.join(names) or 'none'}")


def _write(path: Path, data: bytes) -> None:
    """Write a file that is on the disk when this returns, for its owner alone."""
    path.unlink(missing_ok=True)
    with private(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
