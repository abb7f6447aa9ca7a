"""What the outbox tells a sender, and what the sender tells the outbox."""

from __future__ import annotations

import random
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import DAY_S, Outbox
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError

MOST_A_BATCH = 1000  # objects of one association
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 900.0
JITTER = 0.2  # so that several scanners do not come back all at once
ASK_AGAIN_S = 3600.0  # after a request for storage commitment that nobody answered


class Unreadable(QsmError):  # noqa: N818 - it names what is wrong with an object
    """An object that cannot be sent: it was taken out meanwhile, or the disk has changed it."""


@dataclass(frozen=True)
class Entry:
    """An object that waits for a node; `read` gives its Part 10 file or raises Unreadable."""

    key: str
    class_uid: str
    instance_uid: str
    transfer_syntax: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Recipient:
    """A node with what the latest settings say of it."""

    node: Node
    terms: Terms

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name


def pause_s(failures: int) -> float:
    """Seconds to rest after that many failures: 5 s, doubled each time up to 15 minutes."""
    pause = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_S)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def due(outbox: Outbox) -> list[Recipient]:
    """Return the nodes that there is something to do for, and whose pause is over.

    A pause that is longer than the longest, and what was asked in the future, are of a clock that
    has been set back.
    """
    now = outbox.clock()
    found = outbox.rows(
        """SELECT address, terms FROM node
        WHERE (node.next_at <= :now OR node.next_at > :never) AND EXISTS (
            SELECT 1 FROM delivery WHERE delivery.node = name AND (
                state = 'waiting' AND (delivery.next_at <= :now OR delivery.next_at > :never)
                OR state = 'sent' AND coalesce(asked_at, 0) NOT BETWEEN :again AND :now))
        ORDER BY node.next_at""",
        now=now,
        never=now + 2 * LONGEST_PAUSE_S,
        again=now - ASK_AGAIN_S,
    )
    return [Recipient(Node.parse(address), Terms.from_text(terms)) for address, terms in found]


def waiting(outbox: Outbox, name: str) -> list[Entry]:
    """Return what a node shall get now, in the order of putting, stumbling blocks last."""
    now = outbox.clock()
    found = outbox.rows(
        """SELECT id, class_uid, instance_uid, transfer_syntax FROM delivery
        JOIN object ON id = object
        WHERE node = :name AND state = 'waiting' AND (next_at <= :now OR next_at > :never)
        ORDER BY attempts, id LIMIT :most""",
        name=name,
        now=now,
        never=now + 2 * LONGEST_PAUSE_S,
        most=MOST_A_BATCH,
    )
    return [
        Entry(str(key), class_uid, instance_uid, syntax, partial(read, outbox, str(key)))
        for key, class_uid, instance_uid, syntax in found
    ]


def read(outbox: Outbox, key: str) -> bytes:
    """Return the Part 10 file of an object; raises Unreadable."""
    found = outbox.rows("SELECT data, crc32 FROM object WHERE id = :key", key=int(key))
    if not found:
        raise Unreadable("the object was taken out of the outbox")
    data, checksum = found[0]
    if zlib.crc32(data) != checksum:
        raise Unreadable("the disk has damaged the object; make and send its series again")
    return bytes(data)


def stored(outbox: Outbox, recipient: Recipient, key: str) -> None:
    """Note that a node has an object; with storage commitment that is not the end of it."""
    with outbox.transaction() as db:
        db.execute(
            "UPDATE node SET failures = 0, error = '' WHERE name = ? AND failures > 0",
            (recipient.name,),
        )
        if not recipient.terms.commitment:
            confirm(db, recipient.name, [int(key)], outbox.clock())
            return
        db.execute(
            """UPDATE delivery SET state = 'sent', asked_at = NULL, failed_since = NULL, error = ''
            WHERE node = ? AND object = ?""",
            (recipient.name, int(key)),
        )


def confirm(db: sqlite3.Connection, name: str, keys: Iterable[int], now: float) -> None:
    """End deliveries: the node has these objects, and never gets them again."""
    for key in keys:
        db.execute(
            """INSERT OR REPLACE INTO confirmed (instance_uid, node, at)
            SELECT instance_uid, ?, ? FROM object WHERE id = ?""",
            (name, int(now), key),
        )
        db.execute("DELETE FROM delivery WHERE node = ? AND object = ?", (name, key))


def refused(outbox: Outbox, recipient: Recipient, key: str, reason: str) -> None:
    """Note that a node will never take an object: a dead letter, until a person tries again."""
    with outbox.transaction() as db:
        db.execute(
            """UPDATE delivery SET state = 'dead', error = ?, attempts = attempts + 1
            WHERE node = ? AND object = ?""",
            (reason, recipient.name, int(key)),
        )


@dataclass(frozen=True)
class Postponed:
    """What became of the objects for a node that takes nothing now."""

    waiting: int
    given_up: int
    pause_s: float


def postponed(
    outbox: Outbox, recipient: Recipient, reason: str, stumbled: Iterable[str]
) -> Postponed:
    """Note that a node takes nothing now, so that it rests, longer each time.

    `stumbled` are objects that it put off, or broke off at; from now on the others go before them.
    """
    name, now = recipient.name, outbox.clock()
    with outbox.transaction() as db:
        query = "SELECT failures + 1 FROM node WHERE name = ?"
        (failures,) = db.execute(query, (name,)).fetchone()
        pause = pause_s(failures)
        db.execute(
            "UPDATE node SET failures = ?, next_at = ?, error = ? WHERE name = ?",
            (failures, now + pause, reason, name),
        )
        db.executemany(
            "UPDATE delivery SET attempts = attempts + 1 WHERE node = ? AND object = ?",
            [(name, int(key)) for key in stumbled],
        )
        db.execute(
            """UPDATE delivery SET failed_since = coalesce(failed_since, ?)
            WHERE node = ? AND state <> 'dead'""",
            (now, name),
        )
        given_up = give_up(db, recipient, reason, now)
        query = "SELECT count(*) FROM delivery WHERE node = ? AND state <> 'dead'"
        (left,) = db.execute(query, (name,)).fetchone()
    return Postponed(left, given_up, pause)


def give_up(db: sqlite3.Connection, recipient: Recipient, reason: str, now: float) -> int:
    """Make dead letters of what a node has not taken for so many days; return how many."""
    days = recipient.terms.give_up_days
    return db.execute(
        """UPDATE delivery SET state = 'dead', error = ?
        WHERE node = ? AND state <> 'dead' AND failed_since <= ?""",
        (f"given up after {days:g} days: {reason}", recipient.name, now - days * DAY_S),
    ).rowcount


def tried(outbox: Outbox, name: str) -> None:
    """Note that an attempt is over, for those who wait for it."""
    with outbox.transaction() as db:
        db.execute("UPDATE node SET tries = tries + 1 WHERE name = ?", (name,))
