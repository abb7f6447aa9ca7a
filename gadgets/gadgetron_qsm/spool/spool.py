"""Raw data on disk as they come, so that a scan whose reconstruction failed can be replayed.

A thread of its own writes what passes, in blocks of what came within BLOCK_S. After a block the
file is a whole ISMRMRD file again, and in between it is the one before, so that it is readable
whenever the process is killed; a machine that loses power may lose what its kernel had not written.

What cannot be written costs a warning, once, and the file ends there. When the disk is slower than
the scanner, up to CAPACITY bytes wait in memory, and as many are being written; then the scan waits
for the disk, but for PATIENCE_S of all its time, and goes on without the spool. At its end a scan
that failed waits for the last of its data, up to LAST_S.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gadgetron_qsm.mrd.inbox import Inbox
from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.folder import SpoolFile, SpoolFolder, reason_of
from gadgetron_qsm.spool.recovery import recover
from gadgetron_qsm.spool.scan import SpooledScan

log = logging.getLogger(__name__)

BLOCK_S = 0.05
CAPACITY = 128 << 20  # bytes: a second of a fast scanner
PATIENCE_S = 5.0
LAST_S = 30.0  # that writing the rest may take when the scan has ended and is to be kept,
SOON_S = 1.0  # and that removing it may take


class Spool:
    """The raw data of one scan."""

    def __init__(
        self, folder: SpoolFolder, settings: SpoolSettings, header_text: str, *, recovers: bool
    ) -> None:
        """Start to write; nothing here waits for the disk, and nothing raises."""
        self._folder = folder
        self._settings = settings
        self._header_text = header_text
        self._recovers = recovers
        self._inbox = Inbox(CAPACITY)
        self._patience_s = PATIENCE_S
        self._given_up = False
        self._giving_up = threading.Lock()
        self._failed = False
        self._hurry = threading.Event()  # no more is to be waited for before the next block
        self._ended = threading.Event()
        self._kept: Path | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @classmethod
    def opened(
        cls, settings: SpoolSettings, header_text: str, *, recovers: bool = False
    ) -> Spool | None:
        """Start the spool of a scan; None when settings name no folder.

        It `recovers` what other processes left there before, where no parent of theirs does.
        """
        if folder := SpoolFolder.of(settings):
            return cls(folder, settings, header_text, recovers=recovers)
        return None

    def tee(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Pass messages on, and keep them.

        It may be called again for what is left of a stream: after a failure the rest of the scan is
        kept by iterating over `tee(connection)` to its end, in place of `connection.drain()`.
        """
        for message in messages:
            if not self._given_up:
                self._put(message)
            yield message

    def finish(self, failure: BaseException | None) -> Path | None:
        """End the spool of a scan that failed with `failure`, or of one that succeeded.

        Returns the file when there is one to keep: of a failure, or of any scan when settings say
        so. It waits for the disk for LAST_S, or for SOON_S if nothing is to be kept; what takes
        longer than that, and than this process lasts, is found when it is recovered.
        """
        self._failed = failure is not None
        self._ended.set()
        self._hurry.set()
        self._inbox.end()
        self._thread.join(LAST_S if self._wanted else SOON_S)
        if self._thread.is_alive() and self._wanted:
            self._give_up("the disk does not answer")
        return self._kept

    @property
    def whole(self) -> bool:
        """Whether all that passed is kept so far."""
        return not self._given_up

    def _put(self, message: Message) -> None:
        with suppress(TimeoutError):
            self._inbox.put(message, 0.0)
            return
        start = time.monotonic()
        self._hurry.set()
        try:
            self._inbox.put(message, max(0.0, self._patience_s))
        except TimeoutError:
            self._give_up("the disk is slower than the scan")
        self._patience_s -= time.monotonic() - start

    def _give_up(self, reason: str) -> None:
        with self._giving_up:
            if not self._given_up:
                log.warning("the raw data of this scan are spooled no further: %s", reason)
            self._given_up = True
        self._inbox.end()

    def _run(self) -> None:
        try:
            if self._recovers:
                with suppress(Exception):  # which is no matter if a file can be made there
                    recover(self._settings)
            file = self._folder.create()
        except Exception as error:  # of whatever kind: the scan is not to end with its spool
            self._give_up(reason_of(error))
            return
        scan = None
        try:
            scan = SpooledScan(file.descriptor, self._header_text)
            self._write(file, scan)
            while self._write_block(file, scan):
                self._hurry.wait(BLOCK_S)
                self._hurry.clear()
        except Exception as error:
            self._give_up(reason_of(error))
        self._ended.wait()
        self._settle(file, scan.items if scan else 0)

    def _write_block(self, file: SpoolFile, scan: SpooledScan) -> bool:
        """Write what has come; False at the end, or when nobody will want it."""
        messages = self._inbox.take()
        if not messages or (self._ended.is_set() and not self._wanted):
            return False
        scan.add(messages)
        self._write(file, scan)
        return True

    def _write(self, file: SpoolFile, scan: SpooledScan) -> None:
        file.reserve(scan.end())
        scan.write()

    def _settle(self, file: SpoolFile, items: int) -> None:
        try:
            if self._wanted and items:
                self._kept = file.keep()
            else:
                file.remove()
        except OSError as error:
            self._give_up(reason_of(error))

    @property
    def _wanted(self) -> bool:
        return self._failed or self._settings.keep == "all"
