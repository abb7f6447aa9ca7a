"""Streams of messages as bytes, taken apart."""

from __future__ import annotations

from io import BytesIO

from gadgetron_qsm.mrd.wire import read_message


def cut(stream: bytes) -> list[bytes]:
    """Return the messages of a stream, each as its bytes."""
    incoming, at = BytesIO(stream), 0
    messages = []
    while at < len(stream):
        read_message(incoming)
        messages.append(stream[at : incoming.tell()])
        at = incoming.tell()
    return messages
