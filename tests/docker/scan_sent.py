"""A recorded client's scan to a server, and what comes back."""

from __future__ import annotations

import io
import json
import socket
import threading
import time

from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import Close, HeaderText, Image, Message, Text
from gadgetron_qsm.mrd.wire import read_message, write_message

TIMEOUT_S = 300.0


def send_scan(stream: bytes, port: int, asked: dict[str, str] | None, maps: set[str]) -> None:
    """Send a stream, with parameters behind its header; print what comes back, in a line each.

    Ends the program when that is not a series of each of the maps.
    """
    start = time.monotonic()
    answer = exchange(with_parameters(stream, asked) if asked else stream, port)
    print(f"scan with {asked}: {time.monotonic() - start:.1f} s")
    for message in answer:
        if isinstance(message, Image):
            series, data = int(message.head["image_series_index"]), message.data
            print(f"  image {series}: {data.dtype} {data.shape}, {data.min()} to {data.max()}")
        else:
            print(f"  {message}")
    names = {image_to_map(message).name for message in answer if isinstance(message, Image)}
    if names != maps:
        raise SystemExit(f"maps {sorted(names)} came, and not {sorted(maps)}")


def exchange(stream: bytes, port: int) -> list[Message]:
    """Send bytes while reading; return the messages up to CLOSE."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
        sender = threading.Thread(target=sock.sendall, args=(stream,))
        sender.start()
        with sock.makefile("rb") as reader:
            answer = [read_message(reader)]
            while not isinstance(answer[-1], Close):
                answer.append(read_message(reader))
        sender.join()
    return answer


def with_parameters(stream: bytes, asked: dict[str, str]) -> bytes:
    """Put an operator's parameters behind the header of a recorded stream."""
    reader, writer = io.BytesIO(stream), io.BytesIO()
    document = json.dumps({"version": "1.1.0", "parameters": asked})
    while reader.tell() < len(stream):
        message = read_message(reader)
        write_message(writer, message)
        if isinstance(message, HeaderText):
            write_message(writer, Text(document))
            break
    return writer.getvalue() + stream[reader.tell() :]
