"""The raw files of a cohort, and what each is called."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from gadgetron_qsm.errors import UsageError

log = logging.getLogger(__name__)

HDF5 = (".h5", ".hdf5")
SUFFIXES = (*HDF5, ".mrd", ".dat")  # of raw files in folders

Stat = tuple[int, int]


@dataclass(frozen=True)
class Scan:
    """A raw file and its name.

    That is its path below the folder that was given, or the file's own name, without suffix: it
    does not depend on which others there are.
    """

    name: str
    raw: Path


@dataclass(frozen=True)
class Found:
    """The scans by name, and how many HDF5 files in folders are of something else."""

    scans: tuple[Scan, ...]
    left_out: int


def found(sources: Sequence[Path], output: Path) -> Found:
    """Find raw files, those that are given and those in folders that are.

    In folders, which are searched to the bottom, these are the files that end as one of SUFFIXES,
    but for hidden ones, those in `output`, and HDF5 files that can be read and hold no readouts.
    Raises UsageError when there is none, or for two that have the same name.
    """
    scans: dict[str, Scan] = {}
    left_out = 0
    for source in sources:
        if not source.is_dir():
            _add(scans, Scan(source.stem, source))
            continue
        for raw in sorted(_files(source, output)):
            if _holds_something_else(raw):
                left_out += 1
            else:
                _add(scans, Scan(raw.relative_to(source).with_suffix("").as_posix(), raw))
    if not scans:
        raise UsageError(_nothing(sources, left_out))
    return Found(tuple(sorted(scans.values(), key=lambda scan: scan.name)), left_out)


def _add(scans: dict[str, Scan], scan: Scan) -> None:
    other = scans.setdefault(scan.name, scan)
    if os.path.realpath(other.raw) != os.path.realpath(scan.raw):
        raise UsageError(
            f"{other.raw} and {scan.raw} would both be called '{scan.name}'; give the folder that "
            "both are in, move one of them, or replay them into folders of their own"
        )


def _files(folder: Path, output: Path) -> Iterator[Path]:
    """Give what may be raw files, in no order. Links are followed, but not round in circles.

    Folders that cannot be read are logged.
    """
    skipped = _identity(output)
    above: dict[str, set[Stat | None]] = {str(folder): set()}
    for here, folders, files in os.walk(folder, onerror=_unread, followlinks=True):
        ancestors = above.pop(here) | {_identity(Path(here))}
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and _identity(Path(here, name)) not in {skipped, *ancestors} - {None}
        ]
        above.update({os.path.join(here, name): ancestors for name in folders})  # noqa: PTH118
        yield from _raw(Path(here), files)


def _unread(error: OSError) -> None:
    log.warning("cannot look for raw files in %s: %s", error.filename, error.strerror)


def _raw(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if not name.startswith(".") and name.lower().endswith(SUFFIXES):
            yield folder / name


def _identity(folder: Path) -> Stat | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _holds_something_else(path: Path) -> bool:
    """Whether it is a sound HDF5 file without readouts, as images.h5 of an earlier replay is.

    What cannot be read is not: its scan is to fail, and to say why.
    """
    if path.suffix.lower() not in HDF5:
        return False
    try:
        with h5py.File(path, "r") as file:
            return not any(_has_readouts(group) for group in file.values())
    except (OSError, KeyError, RuntimeError):
        return False


def _has_readouts(group: h5py.Group | h5py.Dataset) -> bool:
    readouts = group.get("data") if isinstance(group, h5py.Group) else None
    return isinstance(readouts, h5py.Dataset) and "head" in (readouts.dtype.names or ())


def _nothing(sources: Sequence[Path], left_out: int) -> str:
    where = ", ".join(map(str, sources))
    besides = f"; HDF5 files without raw data: {left_out}" if left_out else ""
    return f"no raw file is in {where}: looked for {', '.join('*' + s for s in SUFFIXES)}{besides}"
