"""The raw data of a scan that fails are kept, and whoever hears of it hears how to replay them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.mrd.spool import Spool, recover, replay_command
from gadgetron_qsm.site_sections import SpoolSettings

log = logging.getLogger(__name__)


@contextmanager
def spooled(connection: Connection, settings: SpoolSettings) -> Iterator[Iterable[Message]]:
    """Give what comes over a connection, spooled if settings name a folder.

    When the scan fails, what is still to come of it is kept, too, before that is raised: a QsmError
    with the command that replays it, anything else as it is, the command being logged.
    """
    spool = Spool.opened(settings, connection.header_text)
    if spool is None:
        yield connection
        return
    try:
        yield spool.tee(connection)
    except Exception as error:
        _keep_the_rest(spool, connection, error)
        kept = spool.finish(error)
        if kept is None:
            raise
        told = _told(kept, whole=spool.whole and not connection.cut_off)
        if isinstance(error, QsmError):
            raise type(error)(f"{error}; {told}") from error
        log.warning("%s", told)
        raise
    except BaseException as error:
        spool.finish(error)
        raise
    spool.finish(None)


def left_by_the_dead(settings: SpoolSettings) -> str:
    """Return how to replay the scans whose process was killed; nothing if there are none."""
    return "; ".join(_told(path, whole=True) for path in recover(settings))


def _keep_the_rest(spool: Spool, connection: Connection, error: Exception) -> None:
    if not (connection.received or connection.cut_off):
        log.warning("there will be no result, the scan is only kept: %s", error)
    with suppress(QsmError):  # the peer is gone, or ended
        deque(spool.tee(connection), maxlen=0)


def _told(path: Path, *, whole: bool) -> str:
    what = "its data are kept" if whole else "the first of its data are kept"
    return f"{what}: {replay_command(path)}"
