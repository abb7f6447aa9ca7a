"""One size of scan through the product, several times, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.processors import processors
from tests.benchmarks import machine
from tests.benchmarks.product import Product
from tests.benchmarks.scanner import Batches, Course, scan
from tests.benchmarks.sizes import SIZES
from tests.benchmarks.stream import Stream

IN_MEMORY_BYTES = 1_000_000_000  # of a scan that is made before it is sent
WITHIN_INGEST = ("ingest", "grappa", "sense")  # stages that begin before the last readout


@dataclass
class Source:
    """A scan that is ready to be sent, again and again."""

    stream: Stream
    made: list[tuple[np.ndarray, int]] | None

    @classmethod
    def of(cls, size: str) -> Source:
        """Make what is small at once; of what is large no more than the head."""
        with processors():
            stream = Stream(SIZES[size])
            small = stream.raw_bytes < IN_MEMORY_BYTES
            return cls(stream, list(stream.batches()) if small else None)

    def send(self, product: Product, settings: Mapping[str, str], pace: float | None) -> Course:
        """Send it once, `pace` times as fast as a scanner, or as fast as it is taken."""
        tr_s = self.stream.scan.tr_s / pace if pace else None
        batches: Batches = self.made or self.stream.batches()
        with processors():
            return scan(product.port, self.stream.header_text, batches, settings, tr_s)


def repeated(
    source: Source, settings: Mapping[str, str], repeats: int, pace: float | None = None
) -> list[dict[str, Any]]:
    """Send a scan to a new process some times; the first finds everything cold."""
    told = []
    with Product() as product:
        for _ in range(repeats):
            product.forget_peak()
            load = machine.load()
            course = source.send(product, settings, pace)
            told.append({**figures(course, source.stream), "load": load})
            peak = product.peak_bytes() or found(course.maps[-1][1].report, "peak_memory_bytes")
            told[-1]["peak_host_gb"] = _gb(peak)
            told[-1]["planned_gb"] = product.planned_gb()
    return told


def figures(course: Course, stream: Stream) -> dict[str, Any]:
    """Return rate, latencies and stages of a scan in s, and the correlation of chi with truth."""
    chi, last = course.map("chi"), course.maps[-1][1]
    stages = dict(last.report["timing_s"])
    chi_latency_s = course.arrival("chi") - course.last_sent
    behind = sum(s for name, s in chi.report["timing_s"].items() if name not in WITHIN_INGEST)
    end_of_ingest_s = chi.report["timing_s"]["ingest"] - course.streaming_s
    return {
        "raw_gb": stream.raw_bytes / 1e9,
        "stream_s": course.streaming_s,
        "mb_per_s": course.sent_bytes / 1e6 / course.streaming_s,
        "mb_per_s_to_images": course.sent_bytes / 1e6 / chi.report["timing_s"]["ingest"],
        "limited_by": _limit(course),
        "making_s": course.making_s,
        "sending_s": course.sending_s,
        "chi_latency_s": chi_latency_s,
        "latency_s": course.arrival() - course.last_sent,
        "end_of_ingest_s": end_of_ingest_s,
        "between_stages_s": chi_latency_s - end_of_ingest_s - behind,
        "stages_s": stages,
        "peak_device_gb": _gb(found(last.report, "peak_device_bytes")),
        "correlation": correlation(chi, stream),
        "warnings": list(last.report.get("warnings", [])),
    }


def correlation(chi: Map, stream: Stream) -> float:
    """Correlation of the map with the truth, where it holds and the brain is."""
    held = (chi.data != 0) & stream.bore.brain
    return float(np.corrcoef(chi.data[held], stream.bore.chi_ppm[held])[0, 1])


def found(report: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key at any depth of a report; None when it is not there."""
    if key in report:
        return report[key]
    parts = (part for part in report.values() if isinstance(part, Mapping))
    return next((value for part in parts if (value := found(part, key)) is not None), None)


def _limit(course: Course) -> str:
    """What the stream waited for most."""
    waits = {
        "pace": course.pausing_s,
        "generator": course.making_s,
        "product": course.sending_s,
    }
    return max(waits, key=waits.__getitem__)


def _gb(size: float | None) -> float | None:
    return None if size is None else size / 1e9
