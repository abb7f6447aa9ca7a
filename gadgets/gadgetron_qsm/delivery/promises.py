"""Storage commitment in the outbox: what to ask for, and what an archive has said (PS3.4 J)."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from gadgetron_qsm.delivery.commitment import OnResult
from gadgetron_qsm.delivery.outbox import DAY_S, Outbox
from gadgetron_qsm.delivery.queue import ASK_AGAIN_S, Recipient, confirm, give_up, pause_s

log = logging.getLogger(__name__)

MOST_A_REQUEST = 500  # references; an archive may keep them all in one message
MOST_ATTEMPTS = 10  # to store an object that an archive then does not keep: some hours
NOBODY_ANSWERS = "it takes objects but does not report that it keeps them"


def unasked(outbox: Outbox, name: str) -> list[tuple[str, str]]:
    """Return class and instance UIDs of what a node has taken and shall now promise to keep."""
    now = outbox.clock()
    found = outbox.rows(
        """SELECT class_uid, instance_uid FROM delivery JOIN object ON id = object
        WHERE node = :name AND state = 'sent' AND coalesce(asked_at, 0) NOT BETWEEN :again AND :now
        ORDER BY id LIMIT :most""",
        name=name,
        again=now - ASK_AGAIN_S,
        now=now,
        most=MOST_A_REQUEST,
    )
    return [(class_uid, instance_uid) for class_uid, instance_uid in found]


def asking(outbox: Outbox, recipient: Recipient, transaction_uid: str) -> None:
    """Remember a request before it is made: the report may come before the request returns."""
    now = outbox.clock()
    oldest = now - recipient.terms.give_up_days * DAY_S
    with outbox.transaction() as db:
        db.execute("DELETE FROM request WHERE asked_at < ?", (oldest,))
        db.execute(
            "INSERT INTO request (transaction_uid, node, asked_at) VALUES (?, ?, ?)",
            (transaction_uid, recipient.name, now),
        )


def asked(outbox: Outbox, recipient: Recipient, instance_uids: Collection[str]) -> None:
    """Note that a node was asked; what it has not answered for many days is given up."""
    now = outbox.clock()
    with outbox.transaction() as db:
        db.executemany(
            """UPDATE delivery SET asked_at = ?, failed_since =
                CASE WHEN asked_at IS NULL THEN failed_since ELSE coalesce(failed_since, ?) END
            WHERE node = ? AND state = 'sent'
                AND object = (SELECT id FROM object WHERE instance_uid = ?)""",
            [(now, now, recipient.name, uid) for uid in instance_uids],
        )
        give_up(db, recipient, NOBODY_ANSWERS, now)


def unnecessary(outbox: Outbox, name: str) -> None:
    """Confirm what a node has taken: the settings want its promise no more."""
    with outbox.transaction() as db:
        query = "SELECT object FROM delivery WHERE node = ? AND state = 'sent'"
        keys = [key for (key,) in db.execute(query, (name,))]
        confirm(db, name, keys, outbox.clock())


def reports_to(folder: Path, clock: Callable[[], float]) -> OnResult:
    """Return what takes reports, in whatever thread they come, for the outbox of a folder."""

    def take(transaction_uid: str, kept: Collection[str], failed: Mapping[str, str]) -> None:
        with Outbox(folder, clock) as outbox:  # a connection is for the thread that made it
            reported(outbox, transaction_uid, kept, failed)
            outbox.tidy()

    return take


def reported(
    outbox: Outbox, transaction_uid: str, kept: Collection[str], failed: Mapping[str, str]
) -> None:
    """Note an archive's report: what it keeps is done, what it does not waits again.

    kept: SOP instance UIDs; failed: reasons by SOP instance UID. A promise may come after it was
    given up. A report on a request that nobody made, or one long ago, changes nothing.
    """
    now = outbox.clock()
    with outbox.transaction() as db:
        query = "SELECT node FROM request WHERE transaction_uid = ?"
        found = db.execute(query, (transaction_uid,)).fetchone()
        if found is None:
            log.warning("storage commitment was reported for a request that is not ours; ignored")
            return
        (name,) = found
        confirm(db, name, [key for uid in kept for key, *_ in _found(db, name, uid)], now)
        for uid, reason in failed.items():
            for key, attempts, state in _found(db, name, uid):
                if state == "sent":
                    _send_again(db, (name, key), attempts + 1, reason, now)
    log.info("node '%s' keeps %d objects, and does not keep %d", name, len(kept), len(failed))


def _found(db: sqlite3.Connection, name: str, instance_uid: str) -> list[tuple[int, int, str]]:
    """Return key, attempts and state of a delivery, if there still is one."""
    return db.execute(
        """SELECT id, attempts, state FROM delivery JOIN object ON id = object
        WHERE node = ? AND instance_uid = ?""",
        (name, instance_uid),
    ).fetchall()


def _send_again(
    db: sqlite3.Connection, delivery: tuple[str, int], attempts: int, reason: str, now: float
) -> None:
    db.execute(
        """UPDATE delivery SET state = ?, attempts = ?, next_at = ?, error = ?
        WHERE node = ? AND object = ?""",
        (
            "waiting" if attempts < MOST_ATTEMPTS else "dead",
            attempts,
            now + pause_s(attempts),
            f"the node does not keep it: {reason}",
            *delivery,
        ),
    )
