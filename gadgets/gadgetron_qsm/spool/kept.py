"""The raw data of a scan that fails are kept, and whoever hears of it hears how to replay them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.recovery import told
from gadgetron_qsm.spool.spool import Spool

log = logging.getLogger(__name__)


@contextmanager
def spooled(
    connection: Connection, settings: SpoolSettings, *, recovers: bool = False
) -> Iterator[Iterable[Message]]:
    """Give what comes over a connection, spooled if settings name a folder; see Spool.opened.

    When the scan fails, what is still to come of it is kept, too, before that is raised: a QsmError
    with the command that replays it, anything else as it is, the command being logged.
    """
    spool = Spool.opened(settings, connection.header_text, recovers=recovers)
    if spool is None:
        yield connection
        return
    try:
        yield spool.tee(connection)
    except Exception as error:
        whole = _keep_the_rest(spool, connection, error)
        kept = spool.finish(error)
        if kept is None:
            raise
        line = told(kept, whole=whole and spool.whole)
        if isinstance(error, QsmError):
            raise type(error)(f"{error}; {line}") from error
        log.warning("%s", line)
        raise
    except BaseException as error:
        spool.finish(error)
        raise
    spool.finish(None)


def _keep_the_rest(spool: Spool, connection: Connection, error: Exception) -> bool:
    """Spool a scan to its end, while it can be; return whether that is all that was sent."""
    if spool.whole and not (connection.received or connection.cut_off):
        log.warning("there will be no result, the scan is only kept: %s", error)
    rest = spool.tee(connection)
    try:
        while spool.whole and next(rest, None) is not None:
            pass
    except PeerGone:
        pass
    except Exception:  # the scan was ended here, or makes no sense from here on
        return False
    return spool.whole
