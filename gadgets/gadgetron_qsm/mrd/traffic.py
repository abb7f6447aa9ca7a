"""What went over a connection: how much, and when the last of it."""

from __future__ import annotations

import time

from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    DicomFile,
    Image,
    ImageArray,
    Message,
    ReconData,
)


class Traffic:
    """Counts what came and what was sent; one thread each tells it, any may read.

    `readouts` are those in buckets, too; `images` that came, Gadgetron's arrays and buffers as one
    each; `data_bytes` that came, without headers.
    """

    def __init__(self) -> None:
        self.readouts = 0
        self.images = 0
        self.data_bytes = 0
        self._came_at: float | None = None
        self._sent_at: float | None = None

    def came(self, message: Message) -> None:
        """Note a message from the peer."""
        if isinstance(message, Bucket):
            for readout in (*message.data, *message.reference):
                self.came(readout)
            return
        if isinstance(message, Acquisition):
            self.readouts += 1
            self.data_bytes += message.data.nbytes
        elif isinstance(message, Image | ImageArray):
            self.images += 1
            self.data_bytes += message.data.nbytes
        elif isinstance(message, ReconData):
            self.images += 1
            self.data_bytes += sum(b.data.nbytes for bit in message.bits for b in bit if b)
        else:
            return
        self._came_at = time.perf_counter()

    def sent(self, message: Message) -> None:
        """Note a message to the peer."""
        if isinstance(message, Image | DicomFile):
            self._sent_at = time.perf_counter()

    @property
    def latency_s(self) -> float | None:
        """Seconds from the last data in to the last image out; None if there is none after them."""
        if self._came_at is None or self._sent_at is None:
            return None
        seconds = self._sent_at - self._came_at
        return seconds if seconds >= 0 else None
