"""What is installed, where it computes, and every setting."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator

from gadgetron_qsm import __version__, configs
from gadgetron_qsm.arrays.places import Gpu
from gadgetron_qsm.settings import Settings

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "ismrmrd",
    "gadgetron",
    "pydicom",
    "highdicom",
    "pynetdicom",
)


def installation() -> Iterator[tuple[str, str]]:
    """Describe the installation."""
    yield "gadgetron-qsm", __version__
    yield "Python", platform.python_version()
    for package in PACKAGES:
        yield package, importlib.metadata.version(package)
    yield "computes on", _place()
    yield "gadgetron server", shutil.which("gadgetron") or "not installed: serve and replay work"
    yield "configurations", ", ".join(configs.names())
    yield "settings", "changed by --set STAGE.KEY=VALUE or <property name= value=>:"
    yield from Settings.described()


def _place() -> str:
    try:
        place = Gpu(0)
    except ValueError as error:
        return f"the CPU; {error}"
    return f"{place.name}, of whose memory {place.free_bytes() / 1e9:.1f} GB are free"
