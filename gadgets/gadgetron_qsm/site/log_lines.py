"""What our log warns of in a scan, as lines that its client gets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import Text
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.site import scans

PACKAGE = __name__.partition(".")[0]
ASIDE = (f"{PACKAGE}.delivery", f"{PACKAGE}.spool.recovery", f"{PACKAGE}.spool.folder")  # of others
LONGEST = 1000  # characters of a line


@contextmanager
def warnings_told(connection: Connection) -> Iterator[None]:
    """Within this, what our package warns of is sent to the client as well.

    Only for clients of our own server: a TEXT from a gadget would end its Gadgetron's stream.
    """
    package, handler = logging.getLogger(PACKAGE), _ToClient(connection)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)


class _ToClient(logging.Handler):
    """Sends records as TEXT behind eight characters that say the level, as FIRE reads them.

    That is WARNING for errors, too: behind a line of ERROR nothing more comes, and the scan that
    logs an error may well go on.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(logging.WARNING)
        self._connection = connection
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line, once; a client that has gone has nothing to read."""
        line = scans.hide(" ".join(record.getMessage().split()))[:LONGEST]
        if record.name.startswith(ASIDE) or line in self._told:
            return
        self._told.add(line)
        try:
            self._connection.send(Text(f"WARNING {line}"))
        except PeerGone:
            logging.getLogger(PACKAGE).removeHandler(self)
