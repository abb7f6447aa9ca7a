"""The raw data of scans whose process was killed: they are found later, by another one.

The parent of a server looks when it starts, and when a worker has died, for what that left. A
process that has no parent of ours, as Gadgetron starts one, looks when it begins to spool. What is
found is logged, but no client hears of another's scan: see log_lines.
"""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.folder import SpoolFolder, reason_of

log = logging.getLogger(__name__)


def recover(settings: SpoolSettings) -> list[Path]:
    """Find the raw data of all scans whose process was killed, name them in the log, return them.

    Raises QsmError for a folder that cannot be used.
    """
    return _recovered(settings)


def left_by(settings: SpoolSettings, process: int, since: float) -> str:
    """Return how to replay the scan of a process that was killed; nothing if nothing is there.

    since: time.time() at which that process was given the scan. Raises QsmError as `recover` does.
    """
    return "; ".join(told(path, whole=True) for path in _recovered(settings, process, since))


def told(path: Path, *, whole: bool) -> str:
    """Return what whoever sent a scan hears of what is kept of it."""
    what = "its data are kept" if whole else "the first of its data are kept"
    return f"{what}: {replay_command(path)}"


def replay_command(raw: Path) -> str:
    """Return the command that reconstructs a kept file."""
    return f"gadgetron-qsm replay {shlex.quote(str(raw))} --output replayed"


def _recovered(
    settings: SpoolSettings, process: int | None = None, since: float = 0.0
) -> list[Path]:
    try:
        folder = SpoolFolder.of(settings)
        found = folder.recover(process, since) if folder else []
    except OSError as error:
        raise QsmError(f"spool.folder cannot be used: {reason_of(error)}") from error
    for path in found:
        log.warning("a scan was cut short; its raw data are kept: %s", replay_command(path))
    return found
