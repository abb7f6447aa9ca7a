"""The outbox's file, a SQLite database: made, opened, and set aside when it is damaged.

The write-ahead log makes a commit cost one fsync, and lets objects be read while others are put.
https://sqlite.org/wal.html
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gadgetron_qsm.errors import QsmError

log = logging.getLogger(__name__)

NAME = "outbox.sqlite"
APPLICATION_ID = 0x51534D31  # "QSM1", which tells this file from other databases
VERSION = 1
BUSY_S = 60.0  # a series being put may keep others from writing for seconds on a slow disk
PAGE_BYTES = 8192
LOG_BYTES = 1 << 20  # of the write-ahead log that may stay when it is empty

# Objects are kept as long as a delivery refers to them. `data` comes last in its row, so that
# looking at the rest does not read it.
SCHEMA = """
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    terms TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
);
CREATE TABLE object (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance_uid TEXT NOT NULL UNIQUE,
    class_uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    series_number TEXT NOT NULL,
    series_description TEXT NOT NULL,
    put_at REAL NOT NULL,
    size INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE delivery (
    node TEXT NOT NULL REFERENCES node,
    object INTEGER NOT NULL REFERENCES object,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    failed_since REAL,
    asked_at REAL,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (node, object)
) WITHOUT ROWID;
CREATE INDEX delivery_of_object ON delivery (object);
CREATE TABLE confirmed (
    instance_uid TEXT NOT NULL,
    node TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (instance_uid, node)
) WITHOUT ROWID;
CREATE TABLE request (
    transaction_uid TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    asked_at REAL NOT NULL
) WITHOUT ROWID;
"""


def connect(folder: Path) -> sqlite3.Connection:
    """Open the outbox in `folder`, which is made when it is not there, for its owner alone.

    A file that is damaged is set aside, which the log tells, and a new one takes its place.
    Raises QsmError when there is no such place, or the file is of another program or version.
    """
    with told(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _opened(folder)
        except sqlite3.DatabaseError as error:
            if not _damaged(error):
                raise
        log.error("%s", _set_aside(folder))
        return _opened(folder)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn what the disk or SQLite says into a QsmError that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise (_set_aside(folder) if _damaged(error) else _unusable(folder, str(error))) from error
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file, which the kernel releases when the process is killed."""
    with private(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unusable(folder: Path, reason: str) -> QsmError:
    return QsmError(
        f"the outbox {folder} cannot be used: {reason}; make room on its disk and see to its "
        "rights, or choose another folder with store.outbox"
    )


def _damaged(error: sqlite3.DatabaseError) -> bool:
    return any(sign in str(error) for sign in ("file is not a database", "malformed"))


def _set_aside(folder: Path) -> QsmError:
    """Rename the damaged file and its log, unless another process just did; return what to tell."""
    path = folder / NAME
    with locked(folder / "making.lock"):
        if _sound(path):
            return QsmError(f"the outbox {path} was replaced while in use; try again")
        aside = f"{NAME}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(f"{NAME}{suffix}").rename(folder / f"{aside}{suffix}")
    return QsmError(
        f"the outbox {path} is damaged and was set aside as {aside}; get what it holds with "
        "'sqlite3 FILE .recover', or make and send those series again"
    )


def _sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _opened(folder: Path) -> sqlite3.Connection:
    path = folder / NAME
    with suppress(FileExistsError):
        # only if it is new: to close it would end the locks of this process's other connections
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        for each in (folder, *folder.parents):  # some of which are new as well
            with suppress(PermissionError):
                sync_folder(each)
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        if not _version(db, path):
            with locked(folder / "making.lock"):
                _make(db, path)
        db.execute("PRAGMA synchronous = EXTRA")
        db.execute("PRAGMA fullfsync = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, 0 for a new file."""
    # in one statement, lest another process make the tables in between
    version, application, tables = db.execute(
        """SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)
        FROM pragma_user_version, pragma_application_id"""
    ).fetchone()
    if (version or tables) and application != APPLICATION_ID:
        raise QsmError(f"{path} is a database of another program; choose another store.outbox")
    if version > VERSION:
        raise QsmError(
            f"the outbox {path} was made by a newer gadgetron-qsm; update this one, or choose "
            "another store.outbox"
        )
    return int(version)


def _make(db: sqlite3.Connection, path: Path) -> None:
    if _version(db, path):  # another process was first
        return
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with closing(db.execute("PRAGMA journal_mode = WAL")):
        pass  # a network file system may refuse it, and then keeps a rollback journal
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {marks} COMMIT;")


def private(path: Path) -> BinaryIO:
    """Open a file to write, which is made, for its owner alone, when it is not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


def sync_folder(folder: Path) -> None:
    """Have the names of the files in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
