"""The raw data of a scan, kept as they come, so that what fails can be replayed."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.mrd.spool import Spool, replay_command
from gadgetron_qsm.site_sections import SpoolSettings

log = logging.getLogger(__name__)


@contextmanager
def spooled(connection: Connection, settings: SpoolSettings) -> Iterator[Iterable[Message]]:
    """Give the messages of a connection, which are spooled where settings name a folder.

    When what is done with them raises, the rest of the scan is read and kept too, for as long as it
    still takes; whoever is told of the failure is told the command that replays the scan.
    """
    spool = Spool.opened(settings, connection.header_text)
    if spool is None:
        yield connection
        return
    try:
        yield spool.tee(connection)
    except Exception as error:
        _keep_the_rest(connection, spool, error)
        raise
    except BaseException as error:
        spool.finish(error)
        raise
    spool.finish(None)


def _keep_the_rest(connection: Connection, spool: Spool, error: Exception) -> None:
    if spool.whole:
        log.warning("the scan failed; what still comes of its raw data is kept")
        with suppress(QsmError):  # the peer ends it in whichever way
            deque(spool.tee(connection), maxlen=0)
    if path := spool.finish(error):
        connection.postscript = f"; the raw data are kept: {replay_command(path)}"
