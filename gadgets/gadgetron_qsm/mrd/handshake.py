"""What a client says first: queries, its configuration, the MRD header, and little of it."""

from __future__ import annotations

import socket
from io import BytesIO
from typing import BinaryIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    HeaderText,
    Message,
    MessageId,
    Query,
    Response,
)
from gadgetron_qsm.mrd.primitives import kind_of_next
from gadgetron_qsm.mrd.queries import answer
from gadgetron_qsm.mrd.wire import PeerGone, read_body, write_message

MOST_QUERIES = 100  # of a connection: whoever asks for more does not read what is answered
FIRST = {
    MessageId.CONFIG_FILE,
    MessageId.CONFIG_TEXT,
    MessageId.HEADER,
    MessageId.CLOSE,
    MessageId.QUERY,
}


class NoScan(QsmError):  # noqa: N818 - it names what happened
    """The peer ended before it sent an MRD header: nothing to do, and nobody to tell."""


class OnlyAsked(NoScan):
    """The peer sent queries, which were answered, and CLOSE."""


def handshake(
    incoming: BinaryIO, sock: socket.socket
) -> tuple[ConfigFile | ConfigText | None, str]:
    """Answer queries, and return the configuration, if one comes, and the MRD header as sent.

    Raises NoScan when the client ends before, QsmError when it sends anything else; of that no more
    is read than its kind.
    """
    config = None
    try:
        message, asked = _next(incoming), 0
        while isinstance(message, Query):
            if (asked := asked + 1) > MOST_QUERIES:
                raise QsmError(f"the client sent more than {MOST_QUERIES} queries and no scan")
            _respond(sock, message)
            message = _next(incoming)
            if isinstance(message, Close):
                raise OnlyAsked("the client only asked")
        if isinstance(message, ConfigFile | ConfigText):
            config, message = message, _next(incoming)
    except (PeerGone, OSError) as error:
        raise NoScan("the client sent no MRD header") from error
    if isinstance(message, Close):
        raise NoScan("the client closed before it sent an MRD header")
    if not isinstance(message, HeaderText):
        raise _misplaced(type(message).__name__)
    return config, message.text


def _next(incoming: BinaryIO) -> Message:
    kind = kind_of_next(incoming)
    if kind in set(MessageId) - FIRST:
        raise _misplaced(MessageId(kind).name)
    return read_body(kind, incoming)


def _misplaced(what: str) -> QsmError:
    return QsmError(f"the client sent {what} where the MRD header must be")


def _respond(sock: socket.socket, query: Query) -> None:
    encoded = BytesIO()
    write_message(encoded, Response(query.number, answer(query.key)))
    sock.sendall(encoded.getbuffer())
