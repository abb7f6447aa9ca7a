"""What is installed, where it computes, and every setting."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator

from gadgetron_qsm import __version__, configs
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import archives
from gadgetron_qsm.site.findings import Finding, told
from gadgetron_qsm.site.selftest import computes

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


def installation() -> Iterator[Finding]:
    """Describe the installation; find what would keep a scan with the default settings from it."""
    settings = Settings()
    yield from told(_software())
    yield computes(settings.device)
    yield from archives.outbox(settings.store)
    server = shutil.which("gadgetron") or "not installed: serve and replay work"
    yield from told(
        [
            ("gadgetron server", server),
            ("configurations", ", ".join(configs.names())),
            ("settings", "changed by --set STAGE.KEY=VALUE or <property name= value=>:"),
        ]
    )
    yield from told(Settings.described())


def _software() -> Iterator[tuple[str, str]]:
    yield "gadgetron-qsm", __version__
    yield "Python", platform.python_version()
    for package in PACKAGES:
        yield package, importlib.metadata.version(package)
