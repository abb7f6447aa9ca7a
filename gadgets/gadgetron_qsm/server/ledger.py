"""Who has planned with how much memory: a file that processes with scans at once share."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import reduction
from pathlib import Path
from typing import Any

Entries = dict[str, tuple[int, int]]  # by process: bytes planned, bytes resident at that time

PAGE = 4096  # bytes: the entries of 64 processes, which the kernel writes whole or not at all
POLL_S = 0.2  # how soon it is noticed that another process has less


class Ledger:
    """Plans of memory, one a process; what is planned and not taken yet is free for nobody else.

    The file has no name and ends with the last process that has it open. A ledger that is pickled
    for a process to be started is of the same file.
    """

    def __init__(
        self,
        limit_bytes: float | None = None,
        *,
        descriptor: int | None = None,
        free: Callable[[], float] | None = None,
    ) -> None:
        """limit_bytes: for all processes together, if there is that much; None for no limit.

        free: returns what the machine has free.
        """
        if descriptor is None:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        self._descriptor, self._limit_bytes = descriptor, limit_bytes
        self._free = free or _free_bytes

    def __reduce__(self) -> Any:
        return _opened, (reduction.DupFd(self._descriptor), self._limit_bytes)

    def reserve(self, needed: int) -> float:
        """Return the bytes that are free for this process; plan with `needed` if they suffice.

        A plan takes the place of the one that this process had before.
        """
        with self._open() as entries:
            return self._reserved(entries, needed)

    def await_room(self, needed: int) -> float:
        """The same, but wait for it as long as other processes have plans."""
        while True:
            with self._open() as entries:
                left = self._reserved(entries, needed)
                others = [process for process in entries if _resident(process)]
            if needed <= left or not others:
                return left
            time.sleep(POLL_S)

    def _reserved(self, entries: Entries, needed: int) -> float:
        own = str(os.getpid())
        entries.pop(own, None)
        left = self._free() - sum(_outstanding(*entry) for entry in entries.items())
        if self._limit_bytes is not None:
            left = min(left, self._limit_bytes - sum(planned for planned, _ in entries.values()))
        if needed <= left:
            entries[own] = needed, _resident(own)
        return max(0.0, left)

    def release(self, process: int | None = None) -> None:
        """Forget the plan of a process, by default of this one."""
        with self._open() as entries:
            entries.pop(str(process or os.getpid()), None)

    def close(self) -> None:
        """Give up the file."""
        os.close(self._descriptor)

    @contextmanager
    def _open(self) -> Iterator[Entries]:
        """Give the entries, which nobody else changes meanwhile; a lock ends with its process.

        POSIX locks are of a process: that of an open file would be shared with it.
        """
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            before = os.pread(self._descriptor, PAGE, 0)
            entries: Entries = json.loads(before) if before else {}
            yield entries
            os.pwrite(self._descriptor, json.dumps(entries).encode().ljust(PAGE), 0)
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _opened(descriptor: Any, limit_bytes: float | None) -> Ledger:
    return Ledger(limit_bytes, descriptor=descriptor.detach())


def _free_bytes() -> float:
    from gadgetron_qsm.ingest.memory import free_bytes  # with it come the libraries of a scan

    return free_bytes()


def _outstanding(process: str, entry: tuple[int, int]) -> int:
    """Return what a process has planned with and not taken; 0 for one that is no more."""
    planned, resident = entry
    now = _resident(process)
    return max(0, planned - max(0, now - resident)) if now else 0


def _resident(process: str) -> int:
    """Return the memory of a process; 0 for one that is no more."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
