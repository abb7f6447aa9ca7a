"""A small raw scan, and how to have it done quickly."""

from __future__ import annotations

import os

import pytest

from tests.sphere_scan import header_text, scan, write_raw

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}


def leave(*_):
    """What a process does that ends before it is ready."""
    os._exit(3)


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A raw file; copy it to change it."""
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_raw(path, list(scan()), header_text())
    return path
