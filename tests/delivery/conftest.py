"""Servers that the tests of one file share, and certificates of an authority."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.certificates import Authority
from tests.delivery.servers import Server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that starts a server in a folder of its own, which ends with the test."""
    with ExitStack() as stack:

        def start(kind: type[Server], *args: Any, **settings: Any) -> Any:
            folder = tmp_path / f"server{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(kind(folder, *args, **settings))

        yield start
