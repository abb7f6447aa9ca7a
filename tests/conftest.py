"""Fixtures for what lies outside the repository: shared data, Debian programs, a device."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Before numpy comes: BLAS's threads burn more time waiting for each other than small products take,
# above all beside other tests. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("COLUMNS", None)  # rich would keep to it, whatever width a test sets

from tests.device import DeviceArray, modules
from tests.device_memory import equip
from tests.missing import missing


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
            missing(f"{name} is not installed; see 'make debian-programs'")
        return str(path)

    return find


@pytest.fixture
def small_disk(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Path]:
    """A disk of 8 MB, for root."""
    if os.getuid():
        missing("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run([program("mount"), "-t", "tmpfs", "-o", "size=8m", "none", folder], check=True)
    yield folder
    subprocess.run([program("umount"), folder], check=True)


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Callable[[str], bytes]:
    """A function that returns the recorded stream of that name."""

    @cache
    def read(name: str) -> bytes:
        return gzip.decompress((shared_data / "wire" / f"{name}.bin.gz").read_bytes())

    return read


@pytest.fixture(scope="session")
def raw_file(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """full.h5: 1880 readouts of 4 coils x 44 samples, the first 32 noise."""
    path = tmp_path_factory.mktemp("raw") / "full.h5"
    with gzip.open(shared_data / "wire" / "full.h5.gz") as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    return path


@pytest.fixture(autouse=True)
def no_sender_stays() -> Iterator[None]:
    """Stop what a test had this process send in the background: the next is not to meet it."""
    yield
    if delivery := sys.modules.get("gadgetron_qsm.delivery.deliver"):
        for sender in delivery._senders.values():
            sender.stop()


@pytest.fixture(autouse=True)
def no_log_stays() -> Iterator[None]:
    """Undo what a command that was called in this process did to how all of it logs.

    That may have been a fixture of a whole module, so that it is undone before a test, too.
    """
    hooks, shown = (sys.excepthook, sys.unraisablehook, threading.excepthook), warnings.showwarning
    _log_as_at_first()
    yield
    _log_as_at_first()
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    warnings.showwarning = shown


def _log_as_at_first() -> None:
    if logs := sys.modules.get("gadgetron_qsm.site.logs"):
        logging.getLogger().removeHandler(logs._handler)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("gadgetron_qsm").setLevel(logging.NOTSET)


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """A function that moves a host array to a device: a strict stand-in's, or a GPU's."""
    if request.param == "gpu":
        return pytest.importorskip("cupy", exc_type=ImportError).asarray
    standing_in = modules()
    equip(standing_in["cupy"], standing_in["cupyx"])
    for name, module in standing_in.items():
        monkeypatch.setitem(sys.modules, name, module)
    return lambda x: DeviceArray(x.copy())
