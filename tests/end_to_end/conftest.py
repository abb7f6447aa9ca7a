"""Processes to talk to, and the recorded scan."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.peers import Answer, Gadget, Server


@pytest.fixture
def gadget(tmp_path: Path) -> Iterator[Callable[..., Gadget]]:
    """A function that starts a gadget by target, and with `port` at somebody else's server."""
    started: list[Gadget] = []

    def start(target: str, port: int | None = None) -> Gadget:
        started.append(Gadget(target, tmp_path, port))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def through(gadget: Callable[..., Gadget]) -> Callable[[str, bytes], Answer]:
    """A function that passes a whole stream through a target, which must succeed."""

    def run(target: str, stream: bytes) -> Answer:
        process = gadget(target)
        process.send(stream)
        answer = process.answer()
        assert process.status(within_s=5) == 0, process.log
        return answer

    return run


def _server(command: str, folders: pytest.TempPathFactory) -> Iterator[Server]:
    serving = Server(command, folders.mktemp(command))
    yield serving
    serving.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One `serve` for all tests of a file: what one client does, the next must not feel."""
    yield from _server("serve", tmp_path_factory)


@pytest.fixture(scope="module")
def resident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process that stays for a chain's <connect>."""
    yield from _server("gadget", tmp_path_factory)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts a server with settings of its own."""
    with contextlib.ExitStack() as servers:

        def start(command: str = "serve", **settings: object) -> Server:
            """Settings: section__key=value."""
            sets = {key.replace("__", "."): value for key, value in settings.items()}
            options = [f"--set={key}={value}" for key, value in sets.items()]
            server = Server(command, tmp_path, *options)
            servers.callback(server.end)
            return server

        yield start


@pytest.fixture(scope="session")
def truth(shared_data: Path) -> dict[str, np.ndarray]:
    """What is true of the recorded scan; see the README beside it."""
    with np.load(shared_data / "wire" / "truth.npz") as file:
        return dict(file)
