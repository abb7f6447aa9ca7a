"""One replay at a time writes into a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gadgetron_qsm.errors import QsmError

NAME = ".replay.lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other replays out of a folder, which is made; the lock ends with its process.

    What was made and is still empty at the end is removed. Raises QsmError when another replay is
    there, or the folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder / NAME)
    except OSError as error:
        raise QsmError(
            f"cannot write in {folder}: {error.strerror}; choose a folder with room and rights"
        ) from error
    if descriptor is None:
        raise QsmError(f"another replay writes into {folder}; let it end, or name another --output")
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / NAME).unlink()  # while it is still ours
        os.close(descriptor)
        with suppress(OSError):  # something is in there, as there should be
            for path in made:
                path.rmdir()


def _locked(path: Path) -> int | None:
    """Open and lock a file; None when another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # of a process that has just removed it
