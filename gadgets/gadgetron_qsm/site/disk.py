"""Folders that scans write to: can they be written, and how much room is there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gadgetron_qsm.delivery.deliver import folder_of
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.findings import Finding

GB = 1e9
LEAST_FREE = 5 * GB  # bytes: some scans of many maps, or a few minutes of raw data
PROBE = bytes(1 << 20)  # a disk that has less room is full


def folders(settings: Settings) -> dict[str, Path]:
    """Return the folders that settings name, by the setting; the outbox if there is a node."""
    named = {
        "deliver.dicom_folder": settings.deliver.dicom_folder,
        "deliver.report_folder": settings.deliver.report_folder,
        "measure.folder": settings.measure.folder,
        "spool.folder": settings.spool.folder,
        "store.outbox": folder_of(settings.store.outbox) if settings.store.nodes else None,
    }
    return {name: folder for name, folder in named.items() if folder}


def disks(settings: Settings) -> Iterator[Finding]:
    """Try each folder. One that cannot be written is an error, little room a warning.

    Without the spool scans succeed, and it is for those that do not: of it both are warnings.
    """
    for name, folder in folders(settings).items():
        if problem := _problem(folder):
            text = f"{folder} cannot be written: {problem}; see to its rights and its disk"
            yield Finding("warning" if name == "spool.folder" else "error", name, text)
        elif (free := free_bytes(folder)) < LEAST_FREE:
            yield Finding("warning", name, f"{folder} has {free / GB:.1f} GB left; make room")
        else:
            yield Finding("ok", name, f"{folder} can be written, {free / GB:.0f} GB are free")
    yield from _spool(settings)


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder, which may be still to be made; raises OSError."""
    return shutil.disk_usage(_existing(folder)).free


def held_bytes(folder: Path) -> int:
    """Size of all files in a folder and those below it; 0 for a folder that is not there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # taken away meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total


def _spool(settings: Settings) -> Iterator[Finding]:
    """Warn of a spool that its disk ends before its own limit does."""
    folder, limit = settings.spool.folder, GB * settings.spool.limit_gb
    if not folder:
        return
    with suppress(OSError):  # which has been told of
        room = free_bytes(folder) + held_bytes(folder)
        if room < limit:
            text = f"its disk has room for {room / GB:.0f} GB, less than {limit / GB:g}; lower it"
            yield Finding("warning", "spool.limit_gb", text)


def _problem(folder: Path) -> str | None:
    """Say why no file can be written in a folder, if so; leaves nothing there."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(PROBE)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists: the one it is going to be made in."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
