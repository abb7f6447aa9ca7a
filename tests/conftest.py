"""Fixtures for what lies outside the repository: shared data and Debian programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"


def _missing(what: str) -> None:
    if IN_CI:
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real and phantom data beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the data folder ../shared/data is not beside this repository")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a function that finds a program, or skips (under CI=true: fails) without it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            _missing(f"{name} is not installed; see 'make debian-programs'")
        return str(path)

    return find
