"""Small scans made up here, and the recorded streams of real peers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from gadgetron_qsm import exchange
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Acquisition,
    Close,
    ConfigText,
    HeaderText,
    Image,
    Message,
    Text,
    Waveform,
)
from gadgetron_qsm.mrd.wire import read_message, write_message

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>{larmor_hz}</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace><matrixSize><x>16</x><y>6</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>32</x><y>18</y><z>{fov_z}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>8</x><y>6</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>16</x><y>18</y><z>{fov_z}</z></fieldOfView_mm></reconSpace>
<encodingLimits>
<kspace_encoding_step_1><minimum>0</minimum><maximum>5</maximum><center>3</center>
</kspace_encoding_step_1>
<slice><minimum>0</minimum><maximum>{last_slice}</maximum><center>0</center></slice>
<contrast><minimum>0</minimum><maximum>{last_contrast}</maximum><center>0</center></contrast>
</encodingLimits><trajectory>{trajectory}</trajectory></encoding>
<sequenceParameters>{te}</sequenceParameters>
</ismrmrdHeader>"""


@pytest.fixture(scope="session")
def header_text() -> Callable[..., str]:
    """A function that makes a header: 8 x 6 x z voxels of 2 x 3 x 4 mm, as its arguments say."""

    def make(te_ms: tuple[float, ...] = (5, 10, 15), z: int = 4, **changes: Any) -> str:
        values = {
            "te": "".join(f"<TE>{te}</TE>" for te in te_ms),
            "z": z,
            "fov_z": 4 * z,
            "last_slice": 0,
            "last_contrast": len(te_ms) - 1,
            "larmor_hz": 127732435,
            "trajectory": "cartesian",
        }
        return HEADER.format(**(values | changes))

    return make


@pytest.fixture
def header(header_text: Callable[..., str]) -> Header:
    return Header.parse(header_text())


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connected pair over TCP on loopback: ours and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours, peer:
        peer.settimeout(10)
        yield ours, peer


def fill(dtype: np.dtype, rng: np.random.Generator, **values: Any) -> Any:
    """A record of `dtype` with random numbers in every field, then `values`."""
    record = np.zeros((), dtype)
    for name in dtype.names or ():
        if name == "idx":
            record["idx"]["contrast"] = rng.integers(3)
        else:
            record[name] = rng.integers(1, 100, record[name].shape)
    for name, value in values.items():
        record[name] = value
    return record[()]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture
def make_acquisition(rng: np.random.Generator) -> Callable[..., Acquisition]:
    """A function that makes a readout; dimensions of a trajectory are optional."""

    def make(channels: int = 3, samples: int = 7, dimensions: int = 0) -> Acquisition:
        head = fill(
            ACQUISITION_HEADER,
            rng,
            active_channels=channels,
            number_of_samples=samples,
            trajectory_dimensions=dimensions,
        )
        data = rng.standard_normal((channels, samples, 2), np.float32).view(np.complex64)[..., 0]
        trajectory = rng.standard_normal((samples, dimensions), np.float32) if dimensions else None
        return Acquisition(head, data, trajectory)

    return make


@pytest.fixture
def make_waveform(rng: np.random.Generator) -> Callable[..., Waveform]:
    def make(channels: int = 2, samples: int = 5) -> Waveform:
        head = fill(WAVEFORM_HEADER, rng, channels=channels, number_of_samples=samples)
        return Waveform(head, rng.integers(0, 1 << 20, (channels, samples), np.uint32))

    return make


@pytest.fixture
def make_image() -> Callable[..., Image]:
    """A function that makes an image of voxels 2 x 3 x 4 mm; fields of its header are optional."""

    def make(data: np.ndarray, meta: str = "", **values: Any) -> Image:
        head = np.zeros((), IMAGE_HEADER)
        head["version"] = 1
        _, z, y, x = data.shape
        head["field_of_view"] = 2 * x, 3 * y, 4 * z
        head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
        head["image_type"] = 1
        for name, value in values.items():
            head[name] = value
        return Image(head[()], data, meta)

    return make


@pytest.fixture(scope="session")
def send() -> Callable[..., None]:
    """A function that writes messages to a socket."""

    def write(sock: socket.socket, *messages: Message) -> None:
        with sock.makefile("wb") as encoded:
            for message in messages:
                write_message(encoded, message)

    return write


@pytest.fixture(scope="session")
def answers() -> Callable[[socket.socket], list[Message]]:
    """A function that reads the messages on a socket until CLOSE."""

    def read(sock: socket.socket) -> list[Message]:
        messages = []
        with sock.makefile("rb") as encoded:
            while not isinstance(message := read_message(encoded), Close):
                messages.append(message)
        return messages

    return read


@pytest.fixture
def connected(sockets: Any, send: Any) -> Iterator[tuple[Connection, socket.socket]]:
    """A connection with configuration and header read, and its peer's socket."""
    ours, peer = sockets
    properties = '<configuration><property name="preset" value="fast"/></configuration>'
    send(peer, ConfigText(properties), HeaderText("<header/>"))
    connection = Connection.open(ours)
    yield connection, peer
    peer.close()
    connection.close()


@pytest.fixture
def serving() -> Iterator[Callable[..., int]]:
    """A function that serves with a handler from a thread, and returns the port."""
    with ExitStack() as stack:
        yield lambda handler, **options: stack.enter_context(exchange.serving(handler, **options))


@pytest.fixture(scope="session")
def echo() -> Callable[[Connection], None]:
    """A handler that sends back what is no readout, and how many readouts there were."""

    def handle(connection: Connection) -> None:
        count = 0
        for message in connection:
            if isinstance(message, Acquisition):
                count += 1
            else:
                connection.send(message)
        connection.send(Text(f"{count} readouts"))

    return handle


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    """(echo, channel, z, y, x), every voxel another."""
    shape = (3, 2, 4, 6, 8)
    return rng.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
