"""What was done to a scan on its way: methods, times, figures of quality, warnings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site import scans

log = logging.getLogger(__name__)


class Journal:
    """What was done to a scan: becomes the `report` of what comes out."""

    def __init__(self, report: Mapping[str, Any] | None = None) -> None:
        report = report or {}
        self.provenance: dict[str, Any] = dict(report.get("provenance", {}))
        self.timing_s: dict[str, float] = dict(report.get("timing_s", {}))
        self.quality: dict[str, Any] = dict(report.get("quality", {}))
        self.warnings: list[str] = list(report.get("warnings", []))

    def warn(self, text: str) -> None:
        """Note what the reader of the maps must know, once, and log it."""
        if text not in self.warnings:
            self.warnings.append(text)
            log.warning("%s", text)

    @contextmanager
    def stage(self, name: str, **provenance: Any) -> Iterator[None]:
        """Time a stage, all its slices together; what it refuses is told with the stage's name."""
        start = time.perf_counter()
        try:
            yield
        except ValueError as error:
            raise QsmError(f"{name}: {error}") from error
        seconds = time.perf_counter() - start
        scans.timed(name, seconds)
        self.timing_s[name] = round(self.timing_s.get(name, 0.0) + seconds, 3)
        if provenance:
            self.provenance[name] = provenance

    def report(self) -> dict[str, Any]:
        """Return a copy in the form of Map.report."""
        return {
            "provenance": dict(self.provenance),
            "timing_s": dict(self.timing_s),
            "quality": dict(self.quality),
            "warnings": list(self.warnings),
        }


def rounded(value: Any) -> float:
    """A figure of quality, with the digits that mean something."""
    return round(float(value), 4)
