"""MRD streams that are no sockets: files and pipes, as ismrmrd_hdf5_to_stream writes them.

They are the messages of the wire: a configuration or none, the MRD header, data, CLOSE.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    Acquisition,
    ConfigFile,
    ConfigText,
    Error,
    HeaderText,
    Image,
    Message,
    MessageId,
    Waveform,
)
from gadgetron_qsm.mrd.primitives import NoClose, PeerGone, kind_of_next, record
from gadgetron_qsm.mrd.wire import read_body

log = logging.getLogger(__name__)

CONFIGS = {MessageId.CONFIG_FILE, MessageId.CONFIG_TEXT}
FIRST = {*CONFIGS, MessageId.HEADER}
DATA = {MessageId.ACQUISITION, MessageId.WAVEFORM, MessageId.IMAGE, MessageId.TEXT}
BLOCK = 128  # readouts


def begins_stream(start: bytes) -> bool:
    """Tell whether the first bytes of a file are those of an MRD stream."""
    return len(start) > 1 and int.from_bytes(start[:2], "little") in FIRST


def read_start(stream: BinaryIO, name: str) -> tuple[ConfigFile | ConfigText | None, str]:
    """Read the configuration, if there is one, and the MRD header of a stream of that name."""
    config = None
    try:
        kind = kind_of_next(stream)
        if kind in CONFIGS:
            config, kind = read_body(kind, stream), kind_of_next(stream)
        header = read_body(kind, stream) if kind == MessageId.HEADER else None
    except PeerGone as error:
        raise QsmError(f"{name} ends before its MRD header does; copy or send it again") from error
    except QsmError as error:
        raise QsmError(f"{name}: {error}") from error
    if not isinstance(header, HeaderText) or not isinstance(config, ConfigFile | ConfigText | None):
        raise QsmError(f"{name} has a message of kind {kind} where its MRD header must be")
    return config, header.text


def read_on(
    stream: BinaryIO, limits: Limits, name: str, wanted: set[MessageId] = DATA
) -> Iterator[Message]:
    """Read the messages behind the header, to CLOSE; what is not wanted of a file is passed over.

    A stream that ends behind a whole message is taken as whole, as that of a peer on a socket is.
    Raises QsmError, with the `name` of the stream, where it is truncated, or makes no sense.
    """
    number = 0
    try:
        while (kind := kind_of_next(stream)) != MessageId.CLOSE:
            number += 1
            if kind in wanted:
                yield read_body(kind, stream, limits)
            else:
                _pass_over(kind, stream, limits)
    except NoClose:
        log.warning("%s has no CLOSE at its end, which is taken as the end of the scan", name)
    except PeerGone as error:
        raise QsmError(
            f"{name} is cut off in its message {number}; copy or send it again"
        ) from error
    except QsmError as error:
        raise QsmError(f"{name}, message {number}: {error}") from error


def _pass_over(kind: int, stream: BinaryIO, limits: Limits) -> None:
    """Go behind a message of a file."""
    if kind == MessageId.ACQUISITION:
        head = record(stream, ACQUISITION_HEADER, "a readout")
        values = 2 * int(head["active_channels"]) + int(head["trajectory_dimensions"])
        end = stream.seek(4 * values * int(head["number_of_samples"]), os.SEEK_CUR)
        if end > os.fstat(stream.fileno()).st_size:
            raise PeerGone("a readout is not whole")
        return
    message = read_body(kind, stream, limits)
    if isinstance(message, Error):
        raise QsmError(f"it reports an error: {message.text}")
    if kind not in DATA:
        raise QsmError(f"{type(message).__name__} has no place there")


class RawStream:
    """A file with an MRD stream, as files.RawFile is one of HDF5; a context manager.

    `config` is the configuration in it, or None. Each pass over the data opens the file anew.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.name, path
        with path.open("rb") as file:
            self.config, self.header_text = read_start(file, self.name)
            self._start = file.tell()
        self._limits = Limits.of_header(self.header_text)

    def __enter__(self) -> RawStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def __len__(self) -> int:
        """Number of readouts that are whole."""
        return self._count

    @cached_property
    def _count(self) -> int:
        count = 0
        with self._path.open("rb") as file, suppress(QsmError):  # which whoever reads it is told
            file.seek(self._start)
            while (kind := kind_of_next(file)) != MessageId.CLOSE:
                _pass_over(kind, file, self._limits)
                count += kind == MessageId.ACQUISITION
        return count

    def blocks(self, size: int = BLOCK) -> Iterator[list[Acquisition]]:
        """Read the readouts in order, `size` at a time."""
        readouts = self._all(MessageId.ACQUISITION)
        while block := list(islice(readouts, size)):
            yield block

    def waveforms(self) -> Iterator[Waveform]:
        """Read the waveforms in order."""
        return self._all(MessageId.WAVEFORM)

    def images(self) -> Iterator[Image]:
        """Read the images in order."""
        return self._all(MessageId.IMAGE)

    def _all(self, kind: MessageId) -> Iterator[Any]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            yield from read_on(file, self._limits, self.name, {kind})
