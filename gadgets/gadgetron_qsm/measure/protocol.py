"""In what two visits were scanned and measured differently, of what the numbers depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gadgetron_qsm.measure.folder import Visit

# What chi is made by. Other stages make other maps, or tell where it was computed.
STAGES = (
    "coils",
    "grappa",
    "sense",
    "partial_fourier",
    "field",
    "mask",
    "background",
    "inversion",
    "two_pass",
    "reference",
)
FOUND = ("sense",)  # stages whose parameters are what was reached, not what was set
FIELD_PART = 0.02  # 2.89 and 3 T are scanners of two makers; the drift of one is far less
VOXEL_PART = 0.01
ECHO_TIME_S = 0.1e-3
METHOD = "method"


def differences(first: Visit, later: Visit) -> tuple[str, ...]:
    """Return the differences, each in words; empty when the two can be compared."""
    return (*_of_scan(first, later), *_of_reference(first, later), *_of_methods(first, later))


def _of_scan(first: Visit, later: Visit) -> Iterator[str]:
    strength, other = (
        _number(visit.about["scan"].get("field_strength_t")) for visit in (first, later)
    )
    if not np.isclose(strength, other, rtol=FIELD_PART, atol=0, equal_nan=True):
        yield _line("field strength, T", round(strength, 3), round(other, 3))
    size, size_later = (visit.scan.geometry.voxel_size for visit in (first, later))
    if not np.allclose(size, size_later, rtol=VOXEL_PART, atol=0):
        yield _line("voxel size (z, y, x), mm", _list(size), _list(size_later))
    times, later_times = (visit.about["scan"].get("echo_times_s") or [] for visit in (first, later))
    if len(times) != len(later_times) or not np.allclose(times, later_times, 0, ECHO_TIME_S):
        yield _line("echo times, ms", _ms(times), _ms(later_times))


def _of_reference(first: Visit, later: Visit) -> Iterator[str]:
    regions = [visit.about["reference"].get("region") for visit in (first, later)]
    if regions[0] != regions[1]:
        yield _line("reference region", *regions)


def _of_methods(first: Visit, later: Visit) -> Iterator[str]:
    of_first, of_later = first.about["methods"], later.about["methods"]
    for stage in STAGES:
        own, other = of_first.get(stage), of_later.get(stage)
        if own is None or other is None or own.get(METHOD) != other.get(METHOD):
            if own is not other:
                yield _line(stage.replace("_", " "), _method(own), _method(other))
        elif stage not in FOUND:
            yield from _of_parameters(stage, own, other)


def _of_parameters(stage: str, first: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*first, *later]):
        if first.get(name) != later.get(name):
            yield _line(f"{stage}.{name}", first.get(name), later.get(name))


def _method(entry: Mapping[str, Any] | None) -> Any:
    return "not done" if entry is None else entry.get(METHOD, "done")


def _line(what: str, first: object, later: object) -> str:
    return f"{what}: {first}, then {later}"


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "unknown"


def _ms(times_s: Sequence[float]) -> str:
    return _list([1000 * time for time in times_s])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
