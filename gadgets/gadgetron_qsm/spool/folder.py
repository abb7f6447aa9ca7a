"""The folder of spooled scans: their names, who writes which, and how much disk they take.

Several processes may share a folder. Each holds the lock (flock) of the file that it writes, which
ends with the process, however that ends; and that of the folder for a moment while it makes room.
Only files of our names are counted and removed. A name says when a scan began (UTC), not whose; and
while it is written, by which process.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.growing import end_of, is_empty

log = logging.getLogger(__name__)

FREE_BYTES = 2_000_000_000  # of disk that are left to others; of a small disk,
FREE_PART = 0.1  # this part
STEP = 64 << 20  # bytes by which a file grows; of a small limit,
STEP_PART = 1 / 16  # this part
SLACK_S = 1.0  # between the clocks by which a scan began
_OURS = re.compile(r"(?P<time>\d{8}T\d{12})Z_[0-9a-f]{8}(\.(?P<writer>\d+)\.writing)?\.h5")
_TIME = "%Y%m%dT%H%M%S%f"
_BLOCK = 1 << 20  # bytes

CANNOT_BE_READ = "a scan was cut short, and its raw data in %s cannot be read: %s"


class SpoolFolder:
    """A folder of spooled scans that together take at most so many bytes of disk."""

    def __init__(self, path: Path, limit_bytes: float) -> None:
        self.path = path
        self._limit = limit_bytes
        self._step = int(min(STEP, STEP_PART * limit_bytes))

    @classmethod
    def of(cls, settings: SpoolSettings) -> SpoolFolder | None:
        """Return the folder that settings name, if they do."""
        return cls(settings.folder, settings.limit_gb * 1e9) if settings.folder else None

    def create(self) -> SpoolFile:
        """Create the file of a scan that begins; the folder too if it is not there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = datetime.now(timezone.utc)
        name = f"{now:{_TIME}}Z_{uuid.uuid4().hex[:8]}.{os.getpid()}.writing.h5"
        with self.locked():
            descriptor = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return SpoolFile(self, self.path / name, descriptor)

    def recover(self, process: int | None = None, since: float = 0.0) -> list[Path]:
        """Make ordinary files of those whose process was killed; return them.

        If a process is named, only of those that it began `since` then, as of time.time().
        One with nothing in it is removed. One that cannot be read stays, and the log says so.
        """
        if not self.path.is_dir():
            return []
        with self.locked():
            left = [path for path in self._files() if _is_of(path, process, since)]
            return [kept for path in left if _is_free(path) and (kept := _recovered(path))]

    def grow(self, descriptor: int, size: int, needed: int) -> int:
        """Let a file of `size` bytes have at least as many as are needed; return its new size.

        The oldest files go for that, but none that is being written. Raises QsmError when there is
        still not enough room. What the file gets is zeros behind its end, to be written to.
        """
        with self.locked():
            new = needed + self._step
            while lacking := self._lacking(new - size):
                oldest = next(filter(_is_free, self._files()), None)
                if oldest is None:
                    raise QsmError(lacking)
                log.info("removed the spooled scan %s to make room", oldest.name)
                oldest.unlink(missing_ok=True)
            os.ftruncate(descriptor, new)
            return new

    def _lacking(self, growth: int) -> str:
        """Say what there is not enough of to grow by so many bytes; nothing if there is."""
        if sum(map(_size, self._files())) + growth > self._limit:
            return f"spool.limit_gb = {self._limit / 1e9:g} is reached"
        disk = shutil.disk_usage(self.path)
        if disk.free - growth < min(FREE_BYTES, FREE_PART * disk.total):
            return f"its disk has only {disk.free / 1e9:.1f} GB left"
        return ""

    def _files(self) -> list[Path]:
        """All of them, the oldest first."""
        with os.scandir(self.path) as entries:
            ours = [e.path for e in entries if e.is_file(follow_symlinks=False)]
        return sorted(path for path in map(Path, ours) if _OURS.fullmatch(path.name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one that adds, renames or removes files; others wait."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class SpoolFile:
    """A file of a folder that is being written, and nobody else's."""

    def __init__(self, folder: SpoolFolder, path: Path, descriptor: int) -> None:
        self.descriptor = descriptor
        self._folder = folder
        self._path = path
        self._size = 0

    def reserve(self, size: int) -> None:
        """See that the file may have so many bytes; raise QsmError when there is no room."""
        if size > self._size:
            self._size = self._folder.grow(self.descriptor, self._size, size)

    def keep(self) -> Path:
        """End the file, and give it the name by which it is found."""
        try:
            os.ftruncate(self.descriptor, end_of(self.descriptor))
            with self._folder.locked():
                return self._path.rename(_kept(self._path))
        finally:
            os.close(self.descriptor)

    def remove(self) -> None:
        """End the file and remove it."""
        try:
            with self._folder.locked():
                self._path.unlink(missing_ok=True)
        finally:
            os.close(self.descriptor)


def _is_of(path: Path, process: int | None, since: float) -> bool:
    """Tell whether a file is of a scan that did not end, and of a process, if one is named."""
    name = _OURS.fullmatch(path.name)
    if not name or not name["writer"]:
        return False
    began = datetime.strptime(name["time"], _TIME).replace(tzinfo=timezone.utc).timestamp()
    return process is None or (name["writer"] == str(process) and began >= since - SLACK_S)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):  # somebody else has removed it
        return path.stat().st_size
    return 0


def _is_free(path: Path) -> bool:
    """Tell whether nobody writes or reads a file, which may be nobody's any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _recovered(path: Path) -> Path | None:
    """Give a file the name of one that is kept; return it if it can be replayed.

    Only what is sure to hold no scan is removed. What cannot be read, now or ever, is told.
    """
    try:
        if _is_blank(path) or not _has_items(path):
            path.unlink()
            return None
        with path.open("r+b") as file:
            file.truncate(end_of(file.fileno()))
        return path.rename(_kept(path))
    except Exception as error:  # a damaged file may give any
        with suppress(OSError):
            path = path.rename(_kept(path))
        log.error(CANNOT_BE_READ, path, reason_of(error))
        return None


def _is_blank(path: Path) -> bool:
    """Tell whether a file was killed before it had a scan's header, or anything but zeros."""
    with path.open("rb") as file:
        if is_empty(file.fileno()):
            return True
        return not any(block.lstrip(b"\0") for block in iter(lambda: file.read(_BLOCK), b""))


def _has_items(path: Path) -> bool:
    with RawFile(path) as raw:
        return len(raw) > 0 or next(raw.images(), None) is not None


def _kept(path: Path) -> Path:
    return path.with_name(path.name.partition(".")[0] + ".h5")


def reason_of(error: Exception) -> str:
    """Say what was wrong, without the path, which a log need not have."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, QsmError) else f"{type(error).__name__}: {error}"
