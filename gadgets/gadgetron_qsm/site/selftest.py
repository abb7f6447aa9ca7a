"""What a site's machine needs for its scans, tried before the first one comes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gadgetron_qsm
from gadgetron_qsm.arrays.places import Gpu
from gadgetron_qsm.delivery.deliver import terms_of
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.provenance import software
from gadgetron_qsm.sections import DeviceSettings
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import archives, disk
from gadgetron_qsm.site.findings import Finding

log = logging.getLogger(__name__)

LEVELS = {"ok": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
GPUS = ("dev/nvidia[0-9]*", "dev/dxg")  # of a machine, of a Windows subsystem
INSTALL = "install gadgetron-qsm[cuda12] or [cuda13]"


def selftest(settings: Settings, *, device: bool = True, nodes: bool = True) -> Iterator[Finding]:
    """Try what scans with these settings need; changes nothing.

    `device` is where they are computed, which this process then opens; `nodes` are the archives,
    of which each may take some seconds to answer.
    """
    yield Finding("ok", "versions", ", ".join(f"{k} {v}" for k, v in software().items()))
    if device:
        yield computes(settings.device)
    yield clock()
    yield from files(settings)
    yield from disk.disks(settings)
    yield from _supplied(settings)
    if settings.store.nodes:
        yield from archives.outbox(settings.store)
        if nodes:
            yield from archives.nodes(settings.store)


def at_start(settings: Settings, *, device: bool = True) -> None:
    """Log what the self-test finds, a line each; archives are asked by a thread meanwhile.

    Raises QsmError for what makes every scan fail. A process that has others compute says
    `device=False`, and they log `computes`.
    """
    for finding in selftest(settings, device=device, nodes=False):
        require(finding)
    if settings.store.nodes:
        threading.Thread(target=_ask, args=(settings,), name="selftest", daemon=True).start()


def require(finding: Finding) -> None:
    """Log a finding; raise QsmError for an error instead, with which no scan can succeed."""
    if finding.level == "error":
        raise QsmError(str(finding))
    tell(finding)


def tell(finding: Finding) -> None:
    """Log one finding."""
    log.log(LEVELS[finding.level], "%s", finding)


def _ask(settings: Settings) -> None:
    for finding in archives.nodes(settings.store):
        tell(finding)


def computes(section: DeviceSettings) -> Finding:
    """Open what scans are computed on; a GPU that is not used, as could be, is a warning."""
    what = "computes on"
    if section.use == "cpu":
        return Finding("ok", what, f"the CPU, {_processors()}, as device.use says")
    try:
        gpu = Gpu(section.number, section.memory_gb)
    except ValueError as error:
        if section.use == "gpu":
            return Finding("error", what, f"{error}; set device.use=auto to take the CPU then")
        text = f"the CPU, {_processors()}; {error}"
        if any(path for pattern in GPUS for path in Path("/").glob(pattern)):
            return Finding("warning", what, f"{text}; this machine has a GPU: {INSTALL}")
        return Finding("ok", what, text)
    free = f"{gpu.free_bytes() / disk.GB:.1f} GB of its memory are free"
    return Finding("ok", what, f"{gpu.name}, {free}; {gpu.software}")


def clock() -> Finding:
    """Compare the clock with the day this program was installed on, which it cannot be before."""
    installed = Path(gadgetron_qsm.__file__).stat().st_mtime
    told = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if time.time() < installed:
        text = f"{told} is before this program was installed; set it, images would be dated wrong"
        return Finding("warning", "clock", text)
    return Finding("ok", "clock", told)


def files(settings: Settings) -> Iterator[Finding]:
    """Try to read the files of keys and certificates that settings name; tell of those that fail.

    Without the key of pseudonyms no scan succeeds; without the others archives wait.
    """
    identity = settings.identity
    if identity.deidentify and (problem := _unreadable(identity.key_file)):
        yield Finding("error", "identity.key_file", problem)
    caller = terms_of(settings.store).caller
    for name in ("ca_file", "certificate_file", "key_file"):
        if problem := _unreadable(getattr(caller, name)):
            yield Finding("warning", f"store.{name}", problem)


def _unreadable(path: Path | None) -> str | None:
    try:
        if path:
            path.open("rb").close()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def _processors() -> str:
    """Say how many processors this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{count} processors"


def _supplied(settings: Settings) -> Iterator[Finding]:
    """Read what the site supplies for measurements; maps do not need it."""
    asked = settings.measure
    named = [name for name in ("atlas", "controls") if getattr(asked, name)]
    if not named:
        return
    what = ", ".join(f"measure.{name}" for name in named)
    from gadgetron_qsm.measurement.site import Site  # SimpleITK takes a while

    found = Site.read(asked)
    if found.faults:
        yield from (Finding("warning", what, str(fault)) for fault in found.faults)
        return
    told = [f"an atlas of {len(found.atlas.labels.structures)} structures"] if found.atlas else []
    if found.controls:
        told.append(f"{len(found.controls)} lines of controls")
    yield Finding("ok", what, ", ".join(told))
