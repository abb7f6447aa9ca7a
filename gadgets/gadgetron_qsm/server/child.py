"""A process that another one of ours has started: what signals do to it, and how it ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")
TO_THE_PARENT = {signal.SIGINT, signal.SIGTERM}
SOONER_KILLED = 500  # out of 1000: of our processes the kernel is to spare the one that began them


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a process that signals cannot end before it says what it does with them."""
    resource_tracker.ensure_running()  # which lets signals through again, when it first starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_THE_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_the_parent() -> None:
    """Have signals do nothing to this process, but let it be the first to end for lack of memory.

    A terminal and systemd tell everybody; the parent decides.
    """
    for number in TO_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_THE_PARENT)
    with contextlib.suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text(str(SOONER_KILLED))


def how_it_ended(code: int) -> str:
    """Say in words what an exit code means."""
    if code >= 0:
        return f"status {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:  # one of those that have no name
        return f"signal {-code}"
