"""What the parent and a worker tell each other: JSON, with the client's socket beside it."""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST = 1 << 16  # bytes of a message
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends: messages stay whole, and the end of one is seen at the other."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(control: socket.socket, client: socket.socket | None = None, **message: Any) -> bool:
    """Send a message, and a client; return False when nobody is there any more."""
    descriptors = [client.fileno()] if client else []
    try:
        socket.send_fds(control, [json.dumps(message).encode()], descriptors)
    except OSError:
        return False
    return True


def receive(control: socket.socket) -> tuple[dict[str, Any], socket.socket | None] | None:
    """Wait for a message, and the client that came with it; None at the other's end."""
    try:
        data, descriptors, _, _ = socket.recv_fds(control, LARGEST, 1, _FLAGS)
    except OSError:
        return None
    if not data:
        return None
    return json.loads(data), socket.socket(fileno=descriptors[0]) if descriptors else None
