"""The outbox: objects on disk until each node that shall have them has confirmed that it does.

An object is put in one transaction with those of its series, and counts as done when `put`
returns: the file is then on the disk. Each answer of a node is a transaction of its own. What a
killed process leaves is therefore always whole, and at worst one object a node, the one that the
node had answered for but whose answer was not on our disk yet, is sent twice.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pydicom import Dataset

from gadgetron_qsm.delivery import database
from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.part10 import Part10, part10
from gadgetron_qsm.delivery.terms import Terms

DAY_S = 86400.0
CONFIRMED_DAYS = 365  # how long it is remembered what a node has: a row of 80 bytes an object


class Outbox:
    """One connection to the outbox of a folder, for one thread; a context manager.

    Many processes and threads may have one each. Every method raises QsmError when the disk is
    full or cannot be written, and has then changed nothing.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock
        self._db = database.connect(folder)
        self.inode = (folder / database.NAME).stat().st_ino

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the last one empties the write-ahead log."""
        with database.told(self.folder):
            self._db.close()

    @property
    def current(self) -> bool:
        """Whether the file is still the one in its place, and not set aside by another process."""
        with suppress(OSError):
            return (self.folder / database.NAME).stat().st_ino == self.inode
        return False

    def put(self, objects: Iterable[Dataset | bytes], nodes: Sequence[Node], terms: Terms) -> int:
        """Keep all objects for all nodes, or none and raise QsmError.

        Objects are data sets, which may be one that changes, or the bytes of Part 10 files.
        A node that has confirmed an object of the same SOP instance UID does not get it again;
        one that refused it does. Returns how many deliveries there are to do.
        """
        encoded = [part10(source) for source in objects]
        with self.transaction() as db:
            _configure(db, nodes, terms)
            return sum(self._keep(db, each, [node.name for node in nodes]) for each in encoded)

    def configure(self, nodes: Sequence[Node], terms: Terms) -> None:
        """Let what waits for nodes of these names have their new address and terms."""
        with self.transaction() as db:
            _configure(db, nodes, terms)

    def tidy(self) -> None:
        """Delete what nobody waits for any more, and give its room back to the disk."""
        with self.transaction() as db:
            db.execute("DELETE FROM object WHERE id NOT IN (SELECT object FROM delivery)")
        with database.told(self.folder):
            # executescript steps through the whole of it; execute would free a single page
            self._db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self) -> None:
        """Forget what nodes confirmed more than a year ago."""
        with self.transaction() as db:
            oldest = self.clock() - CONFIRMED_DAYS * DAY_S
            db.execute("DELETE FROM confirmed WHERE at < ?", (oldest,))

    def rows(self, query: str, **values: object) -> list[tuple]:
        """Return what a query finds."""
        with database.told(self.folder):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the database to change; all of it happens, on the disk, or nothing."""
        with database.told(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _keep(self, db: sqlite3.Connection, each: Part10, names: Sequence[str]) -> int:
        query = "SELECT node FROM confirmed WHERE instance_uid = ?"
        confirmed = {name for (name,) in db.execute(query, (each.instance_uid,))}
        wanted = [name for name in names if name not in confirmed]
        if wanted:
            key = _insert(db, each, self.clock())
            for name in wanted:
                _want(db, name, key)
        return len(wanted)


def _insert(db: sqlite3.Connection, each: Part10, now: float) -> int:
    """Keep an object, in place of what there may be of the same UID; return its key."""
    db.execute(
        """INSERT INTO object (instance_uid, class_uid, transfer_syntax, series_number,
            series_description, put_at, size, crc32, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (instance_uid) DO UPDATE SET
            class_uid = excluded.class_uid, transfer_syntax = excluded.transfer_syntax,
            series_number = excluded.series_number,
            series_description = excluded.series_description,
            size = excluded.size, crc32 = excluded.crc32, data = excluded.data""",
        (
            each.instance_uid,
            each.class_uid,
            each.transfer_syntax,
            each.series_number,
            each.series_description,
            now,
            len(each.data),
            zlib.crc32(each.data),
            each.data,
        ),
    )
    query = "SELECT id FROM object WHERE instance_uid = ?"
    (key,) = db.execute(query, (each.instance_uid,)).fetchone()
    return int(key)


def _want(db: sqlite3.Connection, name: str, key: int) -> None:
    db.execute(
        """INSERT INTO delivery (node, object, state) VALUES (?, ?, 'waiting')
        ON CONFLICT (node, object) DO UPDATE SET
            state = 'waiting', attempts = 0, next_at = 0, failed_since = NULL, error = ''
        WHERE state = 'dead'""",
        (name, key),
    )


def _configure(db: sqlite3.Connection, nodes: Sequence[Node], terms: Terms) -> None:
    """Keep address and terms; a node whose own have changed is tried at once."""
    db.executemany(
        """INSERT INTO node (name, address, terms) VALUES (?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET address = excluded.address, terms = excluded.terms,
            failures = 0, next_at = 0, error = ''
        WHERE address <> excluded.address OR terms <> excluded.terms""",
        [(node.name, str(node), terms.to_text()) for node in nodes],
    )
