"""A small raw scan, and how to have it done quickly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from gadgetron_qsm import exchange
from gadgetron_qsm.cohort import worker
from tests.sphere_scan import header_text, scan, write_raw

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}


def leave(*_):
    """What a process does that ends before it is ready."""
    os._exit(3)


def break_on_first(*arguments):
    """What a process does in which the scan 'first' shows a fault of ours; it is slow to end."""
    perform = worker.perform

    def broken(task, progress):
        if task.name == "first":
            raise RuntimeError("a fault")
        return perform(task, progress)

    worker.perform = broken
    worker.work(*arguments)
    time.sleep(1)


def break_in_the_chain(*arguments):
    """What a process does whose chain shows a fault; who had a scan is noted."""

    def broken(*_):
        with Path(os.environ["WHO"]).open("a") as file:
            print(os.getpid(), file=file)
        raise RuntimeError("a fault")

    exchange.serve_resident = broken
    worker.work(*arguments)


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A raw file; copy it to change it."""
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_raw(path, list(scan()), header_text())
    return path


@pytest.fixture
def dat(raw, tmp_path, monkeypatch):
    """A file of Siemens, and a program that makes the raw file of it."""
    program = tmp_path / "siemens_to_ismrmrd"
    copies = f"if '-o' in sys.argv: shutil.copy({str(raw)!r}, sys.argv[-1])"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\n{copies}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "meas.dat"
    path.write_bytes(bytes(4) + b"\x02" + bytes(1000))
    return path
