"""The scans that this process works on: their IDs in the log, and what became of each.

Imported by every command, and therefore nothing that takes long to load.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site.memory import forget_peak, peak_memory_bytes
from gadgetron_qsm.site.privacy import hider, line_of
from gadgetron_qsm.site.summary import Outcome, ScanSummary

if TYPE_CHECKING:
    from gadgetron_qsm.mrd.traffic import Traffic

log = logging.getLogger(__name__)

LONGEST = 1000  # characters of why a scan ended, in its summary


class Connected(Protocol):
    """What is asked of a connection."""

    header_text: str
    traffic: Traffic


class Scan:
    """What is known of one scan so far; any thread may tell it more."""

    def __init__(self, connection: Connected) -> None:
        self.id = secrets.token_hex(4)  # nothing of the header, which tells whose scan it is
        self.hide = hider(connection.header_text)
        self._traffic = connection.traffic
        self._start = time.perf_counter()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._stages_s: defaultdict[str, float] = defaultdict(float)
        self._repetitions: set[int] = set()
        self._warnings: set[str] = set()
        self._peak_device_bytes = 0
        self._maps: Counter[str] = Counter()
        self._objects: Counter[str] = Counter()

    def failed(self, error: BaseException) -> str:
        """Note why the scan ended, also where that goes no further; the first reason is it.

        Returns it in a line for the client, whose own log may keep it: without a patient's values.
        """
        self._error = self._error or error
        return self.hide(line_of(error))

    def see(self, report: Mapping[str, Any], repetition: int) -> None:
        """Note a result. Of its report only the warnings: the rest may be what the client sent."""
        with self._lock:
            self._repetitions.add(repetition)
            self._warnings |= set(report.get("warnings", []))

    def timed(self, stage: str, seconds: float) -> None:
        """Note how long a stage took; those of all repetitions count together."""
        with self._lock:
            self._stages_s[stage] += seconds

    def used_device(self, peak_bytes: int) -> None:
        """Note the most memory that a part of it took of a device."""
        with self._lock:
            self._peak_device_bytes = max(self._peak_device_bytes, peak_bytes)

    def made(self, name: str) -> None:
        """Note a map to be delivered."""
        with self._lock:
            self._maps[name] += 1

    def took(self, place: str, objects: int) -> None:
        """Note that a folder or the outbox took DICOM objects."""
        with self._lock:
            self._objects[place] += objects

    def summary(self) -> ScanSummary:
        """Return what became of it."""
        traffic, error = self._traffic, self._error
        return ScanSummary(
            scan=self.id,
            outcome=_outcome(error),
            ended_at=time.time(),
            seconds=time.perf_counter() - self._start,
            readouts=traffic.readouts,
            images=traffic.images,
            data_bytes=traffic.data_bytes,
            repetitions=len(self._repetitions),
            maps=dict(self._maps),
            stages_s=dict(self._stages_s),
            latency_s=traffic.latency_s,
            peak_memory_bytes=peak_memory_bytes(),
            peak_device_bytes=self._peak_device_bytes,
            warnings=len(self._warnings),
            objects=dict(self._objects),
            error=self.hide(line_of(error))[:LONGEST] if error else "",
        )


_current: ContextVar[Scan | None] = ContextVar("scan", default=None)
_running: list[Scan] = []
_listeners: list[Callable[[ScanSummary], None]] = []


@contextmanager
def scanning(connection: Connected) -> Iterator[Scan]:
    """Work on the scan of a connection, whose header has come; a line in the log tells its end.

    For as long as it lasts, lines of the log have its ID and nothing of what its header says of the
    patient. After it, `summary` of what this gives tells what became of the scan.
    """
    scan = Scan(connection)
    token = _current.set(scan)
    _running.append(scan)
    if len(_running) == 1:
        forget_peak()
    try:
        yield scan
    except BaseException as error:
        scan.failed(error)
        raise
    finally:
        summary = scan.summary()
        log.info("%s", summary, extra={"summary": summary})
        _running.remove(scan)
        _current.reset(token)
        tell(summary)


def tell(summary: ScanSummary) -> None:
    """Tell those who listen of a scan that has ended: here, or in a process that has told us."""
    for listener in tuple(_listeners):
        listener(summary)


@contextmanager
def listening(listener: Callable[[ScanSummary], None]) -> Iterator[None]:
    """Have `listener` told of each scan that ends, in the scan's own thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def aside() -> Iterator[None]:
    """Do for a while what belongs to no scan."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Scan | None:
    """Return the scan that this context works on; other threads need its copy."""
    return _current.get()


def current_id() -> str | None:
    """Return the ID of that scan.

    Threads that started before the scan, as that of the outbox, belong to none; where there is but
    one, as in a worker process, they are taken to work for it.
    """
    scan, running = _current.get(), _running[:2]
    if scan is None and len(running) == 1:
        (scan,) = running
    return scan.id if scan else None


def hide(line: str) -> str:
    """Cut out of a line what the headers of all running scans say of their patients."""
    for scan in tuple(_running):
        line = scan.hide(line)
    return line


def see(report: Mapping[str, Any], repetition: int) -> None:
    """Note a result of the current scan, if there is one, with its report."""
    if scan := current():
        scan.see(report, repetition)


def timed(stage: str, seconds: float) -> None:
    """Note how long a stage of the current scan took, if there is one."""
    if scan := current():
        scan.timed(stage, seconds)


def used_device(peak_bytes: int) -> None:
    """Note the most memory that the current scan, if there is one, took of a device."""
    if scan := current():
        scan.used_device(peak_bytes)


def made(name: str) -> None:
    """Note a map of the current scan, if there is one, that is to be delivered."""
    if scan := current():
        scan.made(name)


def took(place: str, objects: int) -> None:
    """Note DICOM objects of the current scan, if there is one, that a place took."""
    if objects and (scan := current()):
        scan.took(place, objects)


def _outcome(error: BaseException | None) -> Outcome:
    from gadgetron_qsm.mrd.primitives import PeerGone

    if error is None:
        return "done"
    if isinstance(error, PeerGone):
        return "gone"
    if isinstance(error, QsmError):
        return "failed"
    return "fault" if isinstance(error, Exception) else "stopped"
