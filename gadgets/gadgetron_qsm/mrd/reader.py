"""What a peer sends, read ahead by a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import BinaryIO

import ismrmrd

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.inbox import Inbox
from gadgetron_qsm.mrd.incoming import Incoming
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import Acquisition, Close, Message
from gadgetron_qsm.mrd.traffic import Traffic
from gadgetron_qsm.mrd.wire import PeerGone, read_message

SILENCE_S = 1.0  # after bytes that make no sense: the peer has finished when it is silent so long
LAST_IN_MEASUREMENT = 1 << (ismrmrd.ACQ_LAST_IN_MEASUREMENT - 1)
_BUFFER = 1 << 20


class Reader:
    """Reads to the peer's CLOSE or its end; what comes waits in a bounded inbox, or is discarded.

    `cut_off` is whether `end` had some of it thrown away.
    """

    def __init__(
        self,
        raw: Incoming,
        incoming: BinaryIO,
        limits: Limits | None,
        traffic: Traffic,
        after_last_s: float | None,
    ) -> None:
        """Start to read `incoming`, which is `raw`, buffered.

        limits: None when what is to come makes no sense; it is then discarded, unseen.
        after_last_s: of silence behind the last readout of a measurement, in place of raw's.
        """
        self.cut_off = False
        self._raw, self._incoming, self._limits, self._traffic = raw, incoming, limits, traffic
        self._silence_s, self._after_last_s = raw.silence_s, after_last_s
        self._inbox = Inbox()
        self._thread = threading.Thread(target=self._run, name="mrd-reader", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes: the peer has said CLOSE, or has gone."""
        return not self._thread.is_alive()

    def take(self) -> deque[Message]:
        """Return what has come, as Inbox.take does; raise what was wrong with what came then."""
        return self._inbox.take()

    def end(self, error: Exception) -> None:
        """Have `take` raise this; what the peer still sends is read, and discarded."""
        self.cut_off = not self.ended
        self._inbox.end(error)

    def discard(self, until: float | None = None) -> None:
        """Discard what has come and comes, to the end or to a time of time.monotonic()."""
        with contextlib.suppress(Exception):  # of any kind, when reading failed
            while self._inbox.take(_left_s(until)):
                pass
        self._thread.join(_left_s(until))

    def close(self) -> None:
        """Wait for the end, which is near once the socket is shut down."""
        self._inbox.end()
        self._thread.join()
        self._incoming.close()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            if self._limits is None:
                raise QsmError("what was refused is not read")
            while not isinstance(message := read_message(self._incoming, self._limits), Close):
                self._traffic.came(message)
                self._inbox.put(message)  # if ended, it is discarded: CLOSE is to be read
                self._wait_less(message)
        except OSError as broken:
            error = PeerGone(f"the connection broke: {broken}")
        except Exception as anything:  # the thread that waits for messages must hear of it
            error = anything
        self._inbox.end(error)
        if error and not isinstance(error, PeerGone):
            self._discard_bytes()

    def _wait_less(self, message: Message) -> None:
        """Expect no more than CLOSE behind the last readout of a measurement."""
        if self._after_last_s is not None and isinstance(message, Acquisition):
            last = int(message.head["flags"]) & LAST_IN_MEASUREMENT
            self._raw.silence_s = self._after_last_s if last else self._silence_s

    def _discard_bytes(self) -> None:
        self._raw.silence_s = SILENCE_S
        with contextlib.suppress(OSError, QsmError):
            while self._raw.read(_BUFFER):
                pass


def _left_s(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())
