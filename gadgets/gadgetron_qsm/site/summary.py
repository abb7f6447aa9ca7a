"""What became of one scan, in numbers, without a word about whose it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["done", "failed", "gone", "fault", "stopped", "killed", "refused"]


@dataclass(frozen=True)
class ScanSummary:
    """A finished scan, of plain values: a worker process hands it to its parent through a pipe.

    outcome: done; failed, ended with a line for people; gone, the client ended first; fault, an
    error of ours; stopped with the server. Of two the parent tells: killed, its process died;
    refused, there was none for it.
    `scan` is the ID in the log. `ended_at` in s since 1970. `repetitions` and `maps`, numbers by
    name, are what was made; `stages_s` of all repetitions together. `latency_s` is from the last
    data in to the last image out. `objects` are the DICOM objects that a folder or the outbox took,
    by setting; those of the outbox once for each node. `error` is why there was not more.
    """

    scan: str
    outcome: Outcome
    ended_at: float
    seconds: float
    readouts: int = 0
    images: int = 0
    data_bytes: int = 0
    repetitions: int = 0
    maps: Mapping[str, int] = field(default_factory=dict)
    stages_s: Mapping[str, float] = field(default_factory=dict)
    latency_s: float | None = None
    peak_memory_bytes: int = 0
    peak_device_bytes: int = 0
    warnings: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def unseen(cls, outcome: Outcome, seconds: float, error: str) -> ScanSummary:
        """Return what is known of a scan of which no process tells."""
        return cls("", outcome, time.time(), seconds, error=error)

    def __str__(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"scan {self.outcome}{f': {self.error}' if self.error else ''}"
        yield f"{self.readouts} readouts, {self.images} images, {self.data_bytes / 1e6:.1f} MB in"
        yield f"{self.repetitions} repetitions, maps {_listed(self.maps)}"
        if self.latency_s is not None:
            yield f"latency {self.latency_s:.2f} of {self.seconds:.2f} s"
        if self.stages_s:
            yield f"stages {', '.join(f'{name} {s:.2f}' for name, s in self.stages_s.items())} s"
        peak = f"memory {self.peak_memory_bytes / 1e9:.2f} GB at most"
        if self.peak_device_bytes:
            peak += f", {self.peak_device_bytes / 1e9:.2f} GB of the device"
        yield peak
        yield f"{self.warnings} warnings"
        if self.objects:
            yield f"objects {_listed(self.objects)}"


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items()) or "none"
