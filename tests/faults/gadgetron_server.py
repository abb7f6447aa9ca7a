"""A stand-in for the Gadgetron server in front of a gadget, by how 4.7 was seen to behave.

It passes on what its readers know; a text, a DICOM file or any other number from the gadget ends
the stream. It takes ERROR behind its own CLOSE alone: before that it crashes, or loses the text.
A gadget that ends without CLOSE looks to it like a message of kind 0.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import Acquisition, Close, Error, Image, Message, Waveform
from gadgetron_qsm.mrd.wire import PeerGone, read_message
from tests.end_to_end.peers import Peer

NO_CLOSE = "Received illegal message id from external peer: 0"
PIXELS = [np.dtype(name) for name in ("<u2", "<u4", "<f4", "<f8", "<c8", "<c16")]
CLOSE = b"\x04\x00"
END_S = 60
IDLE_S = 0.5  # without a message: the gadget has read all, and waits


@dataclass
class Seen:
    """What the client of the server gets to see: it prints lines, and ends with status 0."""

    images: list[Image] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    crashed: bool = False

    @property
    def maps(self) -> list[Map]:
        return [image_to_map(image) for image in self.images]


def through(gadget: Peer, stream: list[bytes], *, before_close=lambda: None) -> Seen:
    """Pass messages, of which the last is CLOSE, through a gadget on a socket."""
    seen, heard, close_sent = Seen(), threading.Event(), threading.Event()
    reader = threading.Thread(target=_read, args=(gadget, seen, heard, close_sent))
    reader.start()
    *messages, close = stream
    assert close == CLOSE
    gadget.send(b"".join(messages))
    gadget.sent()
    while heard.wait(IDLE_S):
        heard.clear()
    before_close()
    close_sent.set()
    gadget.send(close)
    reader.join(END_S)
    assert not reader.is_alive(), "the gadget did not end"
    return seen


def _read(gadget: Peer, seen: Seen, heard: threading.Event, close_sent: threading.Event) -> None:
    with gadget.socket.makefile("rb") as incoming:
        while True:
            try:
                message = read_message(incoming)
            except (PeerGone, OSError):
                seen.lines.append(NO_CLOSE)
                return
            heard.set()
            if isinstance(message, Close):
                return
            if not _taken(message, seen, close_sent):
                return


def _taken(message: Message, seen: Seen, close_sent: threading.Event) -> bool:
    """Pass on a message; False when it ends the stream."""
    if isinstance(message, Error):
        seen.crashed = seen.crashed or not close_sent.is_set()
        seen.lines.append(message.text)
        return True
    if isinstance(message, Image) and message.data.dtype in PIXELS:
        seen.images.append(message)
        return True
    if isinstance(message, Acquisition | Waveform):
        return True
    seen.lines.append(f"illegal message id, or pixels: {type(message).__name__}")
    return False
