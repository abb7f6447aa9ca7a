"""Servers that stay for all tests here: what one client does, the next must not feel."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.faults.served import Served


@pytest.fixture(scope="session")
def served_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """A function that returns the one server that a command has started."""
    running: dict[str, Served] = {}
    with contextlib.ExitStack() as stack:

        def by(command: str) -> Served:
            if command not in running:
                running[command] = Served(command, tmp_path_factory.mktemp(command))
                stack.callback(running[command].end)
            return running[command]

        yield by


@pytest.fixture(params=["serve", "gadget"])
def served(request: pytest.FixtureRequest, served_by: Callable[[str], Served]) -> Served:
    """Our server for clients, and the resident process of a Gadgetron's chain."""
    return served_by(request.param)
