"""What Dask's clusters that are our own have in common: who may connect, and how they start."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client, Security

MISSING = (
    "--scheduler needs Dask, which is not installed here: pip install 'gadgetron-qsm[dask]', and "
    "the same in the environment of its scheduler and workers"
)
LOOPBACK = "127.0.0.1"
NO_DASHBOARD = {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
QUIET = logging.CRITICAL + 1  # a level that nothing has


@dataclass(frozen=True)
class Cluster:
    """Who gives scans to workers: a client of its scheduler, and what it is called.

    `start` says how to have workers there, and `patience_s` how long to wait for the first. `mend`
    replaces workers that are lost, as far as the cluster does not.
    """

    client: Client
    name: str
    start: str
    patience_s: float
    mend: Callable[[], None] = lambda: None


def certified(folder: Path | None = None) -> Security:
    """Make certificates for this run: whoever may give work to Dask runs code as this user.

    They are in memory, or in files for workers that see `folder`.
    """
    from distributed import Security

    made = Security.temporary()
    if folder is None:
        return made
    files = {"cert": folder / "cert.pem", "key": folder / "key.pem"}
    for what, path in files.items():
        path.touch(mode=0o600)
        path.write_text(getattr(made, f"tls_worker_{what}"))
    roles = {
        f"tls_{role}_{what}": str(path)
        for role in ("client", "scheduler", "worker")
        for what, path in files.items()
    }
    return Security(require_encryption=True, tls_ca_file=str(files["cert"]), **roles)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C, which goes to all of a terminal, does not reach.

    The thread that starts them has the mask of this one. Here Ctrl-C comes afterwards: half a
    cluster cannot be closed.
    """
    came: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    resource_tracker.ensure_running()  # to start it later would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt
