"""Servers that stay for all tests here: what one client does, the next must not feel."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.served import DEFAULTS, Served, impatient


@pytest.fixture(scope="session")
def served_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """A function that returns the one server that a command has started."""
    with contextlib.ExitStack() as stack:
        yield _by_command(tmp_path_factory, stack, lambda _: DEFAULTS)


@pytest.fixture(scope="session")
def impatient_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """The same of servers that wait for nobody, and keep the raw data of scans that fail."""
    with contextlib.ExitStack() as stack:
        yield _by_command(tmp_path_factory, stack, impatient)


def _by_command(
    folders: pytest.TempPathFactory,
    stack: contextlib.ExitStack,
    properties: Callable[[Path], Mapping[str, str]],
) -> Callable[[str], Served]:
    @functools.cache
    def by(command: str) -> Served:
        folder = folders.mktemp(command)
        server = Served(command, folder, properties(folder))
        stack.callback(server.end)
        return server

    return by


@pytest.fixture(params=["serve", "gadget"])
def served(request: pytest.FixtureRequest, served_by: Callable[[str], Served]) -> Served:
    """Our server for clients, and the resident process of a Gadgetron's chain."""
    return served_by(request.param)
