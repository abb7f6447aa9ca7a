"""What was received and not used yet: reading never waits for computing, memory is bounded."""

from __future__ import annotations

import threading
from collections import deque

from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.mrd.size import bytes_of

CAPACITY = 256 << 20  # bytes: several seconds of the fastest scanner


class Inbox:
    """Messages from one thread to another: at most `capacity` bytes, as bytes_of counts, and one.

    The one beyond is a message that no longer fits, of whatever size Limits allow. What `take`
    returned is its caller's and no longer counts. The one who fills waits when the inbox is full,
    so that the kernel's buffers fill and the sender is slowed down.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._changed = threading.Condition()
        self._messages: deque[Message] = deque()
        self._size = 0
        self._ended = False
        self._error: Exception | None = None

    def put(self, message: Message, timeout_s: float | None = None) -> bool:
        """Add a message, when there is room; False when nobody will take it any more.

        Raises TimeoutError when there is no room for `timeout_s`.
        """
        size = bytes_of(message)
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._size < self._capacity or self._ended, timeout_s
            ):
                raise TimeoutError
            if self._ended:
                return False
            self._messages.append(message)
            self._size += size
            self._changed.notify_all()
        return True

    def end(self, error: Exception | None = None) -> None:
        """Say that no more will come; `error` is raised once everything before it is taken."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> deque[Message]:
        """Wait for messages and return all there are; nothing at the end.

        Raises what ended the stream, and TimeoutError when nothing came for `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._messages or self._ended, timeout_s):
                raise TimeoutError
            taken, self._messages, self._size = self._messages, deque(), 0
            self._changed.notify_all()
        if not taken and self._error:
            raise self._error
        return taken
