"""Servers that stay for all tests here: what one client does, the next must not feel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.served import Served


@pytest.fixture(scope="session", params=["serve", "gadget"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Our server for clients, and the resident process of a Gadgetron's chain."""
    server = Served(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.end()
