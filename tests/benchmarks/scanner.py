"""The scanner's side of a scan: sends its messages, and notes when what goes and comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from xml.sax.saxutils import quoteattr

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import Close, ConfigText, Error, HeaderText, Image, Message
from gadgetron_qsm.mrd.wire import read_message, write_message

BUFFER = 1 << 20

Batches = Iterable[tuple[np.ndarray, int]]  # messages (readout, byte), and readouts of one TR


@dataclass
class Course:
    """When what happened, in s; of the streaming: how long the sender waited for what.

    making: for messages to be made; sending: for the socket to take them; pausing: for its turn,
    where readouts go at the scanner's pace. `maps` come with the time of their arrival.
    """

    first_sent: float = 0.0
    last_sent: float = 0.0
    sent_bytes: int = 0
    making_s: float = 0.0
    sending_s: float = 0.0
    pausing_s: float = 0.0
    maps: list[tuple[float, Map]] = field(default_factory=list)

    @property
    def streaming_s(self) -> float:
        """From before the first readout to behind the last."""
        return self.last_sent - self.first_sent

    def arrival(self, name: str | None = None) -> float:
        """When the first map of that name came; of none, the last map of all."""
        times = [at for at, volume in self.maps if name in (None, volume.name)]
        return times[0] if name else times[-1]

    def map(self, name: str) -> Map:
        """The first map of that name."""
        return next(volume for _, volume in self.maps if volume.name == name)


def scan(
    port: int,
    header_text: str,
    batches: Batches,
    settings: Mapping[str, str],
    tr_s: float | None = None,
) -> Course:
    """Send a scan to a resident process here, one TR every `tr_s` or as fast as it takes it.

    Raises RuntimeError with the text of an error that comes back, or when no map does.
    """
    course = Course()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        _send(sock, ConfigText(_as_xml(settings)), HeaderText(header_text))
        sender = threading.Thread(target=_send_all, args=(sock, batches, tr_s, course), daemon=True)
        sender.start()
        with BufferedReader(sock.makefile("rb", buffering=0), BUFFER) as incoming:
            while not isinstance(message := read_message(incoming), Close):
                if isinstance(message, Error):
                    raise RuntimeError(f"the product reports: {message.text}")
                if isinstance(message, Image):
                    at = time.perf_counter()
                    course.maps.append((at, image_to_map(message)))
        sender.join()
    if not course.maps:
        raise RuntimeError("no map came back")
    return course


def _send_all(sock: socket.socket, batches: Batches, tr_s: float | None, course: Course) -> None:
    with contextlib.suppress(OSError):  # the product has gone; whoever reads from it says so
        _stream(sock, batches, tr_s, course)


def _stream(sock: socket.socket, batches: Batches, tr_s: float | None, course: Course) -> None:
    started = course.first_sent = asked = time.perf_counter()
    shots = 0
    for batch, together in batches:
        made = time.perf_counter()
        course.making_s += made - asked
        step = together if tr_s else len(batch)
        for first in range(0, len(batch), step):
            if tr_s:
                course.pausing_s += _until(started + shots * tr_s)
                shots += 1
            course.sending_s += _sent(sock, batch[first : first + step])
        course.sent_bytes += batch.nbytes
        asked = time.perf_counter()
    course.last_sent = time.perf_counter()
    _send(sock, Close())


def _sent(sock: socket.socket, messages: np.ndarray) -> float:
    """Send messages; return how long that took."""
    start = time.perf_counter()
    sock.sendall(messages.data)
    return time.perf_counter() - start


def _until(due: float) -> float:
    """Sleep until a time; return for how long."""
    left = max(0.0, due - time.perf_counter())
    time.sleep(left)
    return left


def _send(sock: socket.socket, *messages: Message) -> None:
    buffer = BytesIO()
    for message in messages:
        write_message(buffer, message)
    sock.sendall(buffer.getbuffer())


def _as_xml(settings: Mapping[str, str]) -> str:
    lines = [f"<property name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in settings.items()]
    return f"<configuration>{''.join(lines)}</configuration>"
