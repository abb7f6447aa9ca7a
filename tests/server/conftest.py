"""Servers that end with their test, and what is asked about them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.dispatching import SOON_S, Dispatching
from tests.server.jobs import Told


@pytest.fixture
def serve() -> Iterator[Callable[..., Dispatching]]:
    """A function that starts a server, and waits until it is ready."""
    started: list[Dispatching] = []

    def start(job: Told | None = None, *, wait: bool = True, **settings: Any) -> Dispatching:
        started.append(Dispatching(job or Told(), **settings))
        started[-1].thread.start()
        assert not wait or started[-1].ready.wait(SOON_S)
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """A function that waits for a condition."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    return wait


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """A function that tells whether a process has ended, and is no zombie."""
    return lambda process: not Path(f"/proc/{process}").exists()


@pytest.fixture
def descriptors() -> Callable[[], int]:
    """A function that counts the descriptors of this process."""
    return lambda: len(os.listdir("/proc/self/fd"))  # noqa: PTH208
