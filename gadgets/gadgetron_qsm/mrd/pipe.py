"""A scan that comes through a pipe, and images that leave through one, in either version of MRD."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, BinaryIO, Protocol

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.anonymous import anonymous_header
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import Close, ConfigFile, ConfigText, HeaderText, Image, Message
from gadgetron_qsm.mrd.streams import begins_stream, read_on, read_start
from gadgetron_qsm.mrd.version2 import MAGIC, Reader, Writer
from gadgetron_qsm.mrd.version2_header import anonymous
from gadgetron_qsm.mrd.wire import write_message

HDF5 = b"\x89HDF"
STOPPED_S = 0.2  # how soon it is noticed


class Source(RawIOBase):
    """The bytes of a descriptor, until `stop`, from another thread, has reading them fail.

    The first of them come at once as many as tell what they are.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._begun, self._stopped = descriptor, False, False

    def stop(self) -> None:
        """Have whoever reads get OSError."""
        self._stopped = True

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes and take what is there; 0 at the end."""
        wanted, at = 1 if self._begun else len(MAGIC), 0
        self._begun = True
        while at < wanted:
            self._wait()
            count = os.readv(self._descriptor, [memoryview(buffer)[at:]])
            if not count:
                break
            at += count
        return at

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not poll.poll(1000 * STOPPED_S):
            if self._stopped:
                raise OSError("nobody wants more")


@dataclass(frozen=True)
class Coming:
    """A scan that comes: what is in front of it, and the messages, which can be read once.

    `version2` is its header when it is in that version of MRD, whose XML is `header_text` then.
    """

    header_text: str
    messages: Iterator[Message]
    config: ConfigFile | ConfigText | None = None
    version2: Any = None

    @classmethod
    def over(cls, stream: BufferedReader[Any], name: str) -> Coming:
        """Read a stream to the end of its header; raise QsmError, with its name, for another."""
        start = stream.peek(len(MAGIC))
        if start.startswith(MAGIC):
            reader = Reader(stream, name)
            return cls(reader.header_text, reader.messages(), version2=reader.header)
        _require_stream(start, name)
        config, header_text = read_start(stream, name)
        return cls(header_text, read_on(stream, Limits.of_header(header_text), name), config)

    def answer(self, target: BinaryIO, *, hidden: bool) -> Answer:
        """Return what writes images in the version of MRD that the scan comes in.

        hidden: whether the header in front of them is to tell nobody whose scan it is.
        """
        if self.version2:
            return Writer(target, anonymous(self.version2) if hidden else self.version2)
        text = anonymous_header(Header.parse(self.header_text)) if hidden else self.header_text
        return Version1(target, text)


class Answer(Protocol):
    """What is asked of whatever writes images."""

    def write(self, image: Image) -> None:
        """Write an image."""

    def close(self) -> None:
        """Write the end; without it the stream is taken as cut off."""


class Version1:
    """Writes images as an MRD stream, behind a header."""

    def __init__(self, target: BinaryIO, header_text: str) -> None:
        self._target = target
        self._write(HeaderText(header_text))

    def write(self, image: Image) -> None:
        """Write an image."""
        self._write(image)

    def close(self) -> None:
        """Write CLOSE."""
        self._write(Close())

    def _write(self, message: Message) -> None:
        encoded = BytesIO()
        write_message(encoded, message)
        self._target.write(encoded.getbuffer())
        self._target.flush()


def _require_stream(start: bytes, name: str) -> None:
    if not start:
        raise QsmError(f"{name} is empty; give it an MRD stream")
    if start.startswith(HDF5):
        raise QsmError(f"{name} is an HDF5 file, which cannot be read in order; use --input FILE")
    if not begins_stream(start):
        raise QsmError(f"{name} is no MRD stream; ismrmrd_hdf5_to_stream makes one of a file")
