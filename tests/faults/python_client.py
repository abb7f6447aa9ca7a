"""A stand-in for the client of kspaceKelvin/python-ismrmrd-server, by how it was seen to behave.

One process sends: the configuration's name in 1024 bytes, the header and JSON parameters, each
with a NUL behind it, waveforms, then readouts, then images, and CLOSE. Another reads the same
socket with the ismrmrd package: of kinds of messages it knows these, and at any other, at CLOSE and
at the end of the stream it shuts the socket down for both. What cannot be sent then is left out.
"""

from __future__ import annotations

import socket
import struct
import threading

import ismrmrd

END_S = 60
CONFIG_FILE, CONFIG_TEXT, HEADER, CLOSE, TEXT = 1, 2, 3, 4, 5
ACQUISITION, IMAGE, WAVEFORM = 1008, 1022, 1026


class PythonClient:
    """Sends a scan's messages; `images` and `texts` are what it has read at the end."""

    def __init__(self, port: int) -> None:
        self.images: list[ismrmrd.Image] = []
        self.texts: list[str] = []
        self.unknown: list[int] = []
        self.closed = self.aborted = False
        self._socket = socket.create_connection(("127.0.0.1", port), END_S)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def run(self, messages: list[bytes]) -> PythonClient:
        """Send all, a message at a time, and wait for the reader's end."""
        for message in messages:
            self.aborted |= not self._sent(message)
        self._reader.join(END_S)
        assert not self._reader.is_alive(), "no end came"
        self._socket.close()
        return self

    def _sent(self, message: bytes) -> bool:
        try:
            self._socket.sendall(message)
        except OSError:
            return False
        return True

    def meta(self, number: int) -> dict:
        """What an image says of itself."""
        return ismrmrd.Meta.deserialize(self.images[number].attribute_string)

    def _read(self) -> None:
        with self._socket.makefile("rb") as stream:
            while not self.closed and not self.unknown and (kind := stream.read(2)):
                self._read_message(struct.unpack("<H", kind)[0], stream)
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _read_message(self, kind: int, stream) -> None:
        if kind == CLOSE:
            self.closed = True
        elif kind == IMAGE:
            self.images.append(ismrmrd.Image.deserialize_from(stream.read))
        elif kind in (CONFIG_TEXT, HEADER, TEXT):
            (size,) = struct.unpack("<I", stream.read(4))
            self.texts.append(stream.read(size).decode().partition("\0")[0])
        else:
            self.unknown.append(kind)
