"""What the stand-in for cupy has of a device's streams and memory."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from tests.device import DeviceArray

NAME = "Stand-in"


class Stream:
    """Does at once what it is told, and notes what it was made to wait for."""

    def __init__(self, **_options: bool) -> None:
        self.waited_for: list[Event] = []

    def record(self) -> Event:
        return Event(self)

    def wait_event(self, event: Event) -> None:
        self.waited_for.append(event)

    def synchronize(self) -> None:
        pass


class Event:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def synchronize(self) -> None:
        pass


class Pool:
    """Knows limits, not arrays; `used`, `total` and `limit` are a test's to set."""

    def __init__(self) -> None:
        self.used = self.total = self.limit = 0
        self.released = 0

    def set_limit(self, *, size: int) -> None:
        self.limit = size

    def used_bytes(self) -> int:
        return self.used

    def total_bytes(self) -> int:
        return self.total

    def free_bytes(self) -> int:
        return self.total - self.used

    def free_all_blocks(self) -> None:
        self.released += 1
        self.total = self.used


class PlanCache:
    """Notes its limits; cupy raises for a plan whose work area alone is beyond `memsize`."""

    def __init__(self) -> None:
        self.cleared = self.used = 0

    def get_curr_memsize(self) -> int:
        return self.used

    def set_size(self, size: int) -> None:
        self.size = size

    def set_memsize(self, size: int) -> None:
        self.memsize = size

    def clear(self) -> None:
        self.cleared += 1


class Device:
    mem_info = (8 << 30, 16 << 30)
    used: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self.number = number

    def use(self) -> None:
        self.used.append(self.number)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _set(array: DeviceArray, host: np.ndarray, **_stream: Stream | None) -> None:
    if not host.flags.c_contiguous or host.dtype != array.dtype or host.shape != array.shape:
        raise TypeError("set takes an array of the same shape and type, contiguous")
    if not array.flags.c_contiguous:
        raise RuntimeError("Cannot set to non-contiguous array")
    array._host[...] = host


def equip(cupy: Any, cupyx: ModuleType) -> None:
    """Give the stand-in one device, its streams and its memory."""
    current, pool, plans = Stream(), Pool(), PlanCache()
    cupy.cuda = SimpleNamespace(
        Stream=Stream,
        Device=Device,
        get_current_stream=lambda: current,
        runtime=SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda _number: {"name": NAME.encode()},
            runtimeGetVersion=lambda: 12040,
            driverGetVersion=lambda: 13000,
        ),
    )
    cupy.__version__ = "13.6.0"
    cupy.get_default_memory_pool = lambda: pool
    cupy.fft = SimpleNamespace(config=SimpleNamespace(get_plan_cache=lambda: plans))
    cupyx.empty_pinned = lambda shape, dtype: np.empty(shape, dtype)  # type: ignore[attr-defined]
    DeviceArray.set = _set  # type: ignore[attr-defined]
