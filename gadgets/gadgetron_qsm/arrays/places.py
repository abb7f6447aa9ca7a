"""Where a scan is computed: on the host, or on one CUDA device."""

from __future__ import annotations

import math
import sys
from typing import Any, Protocol

import numpy as np

from gadgetron_qsm.arrays import Array, on_device, to_numpy
from gadgetron_qsm.arrays.feed import DeviceFeed, Feed, HostFeed

KEPT_PLAN_BYTES = 1 << 29  # of work areas that FFT plans may keep between scans
PLANS = 64  # that are kept on a device,
PLAN_SHARE = 0.5  # and what their work areas take of its memory, at most: no one plan has more


_used: dict[int, str] = {}  # CUDA devices that this process computes on, by number


class Place(Protocol):
    """Takes arrays in, and says how much room there is."""

    name: str
    on_device: bool

    def enter(self) -> None:
        """Make it the place of this thread."""

    def feed(self) -> Feed:
        """Return what takes batches of readouts there."""

    def bring(self, x: Array) -> Array:
        """Return an array there, without a copy when it is there already."""

    def free_bytes(self) -> float:
        """Memory that arrays may still take; infinite on the host, which nobody counts here."""

    def peak_bytes(self) -> int:
        """Most memory that arrays have taken since the last `rest`; 0 on the host."""

    def rest(self) -> None:
        """Give back memory that no array holds, to other processes too, until the next scan."""

    def release(self) -> None:
        """Give back all that can be spared, as memory is short."""


class Host:
    """The processors, and the memory beside them."""

    name = "CPU"
    on_device = False

    def enter(self) -> None:
        """Do nothing."""

    def feed(self) -> Feed:
        """Return a feed that leaves batches where they are."""
        return HostFeed()

    def bring(self, x: Array) -> Array:
        """Return a host array."""
        return to_numpy(x)

    def free_bytes(self) -> float:
        """Return infinity."""
        return math.inf

    def peak_bytes(self) -> int:
        """Return 0."""
        return 0

    def rest(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class Gpu:
    """One CUDA device, by its number; at most `memory_gb` of its memory, None for all of it.

    FFT plans are kept, PLANS of them. Raises ValueError when CuPy or the device is not there, or
    cannot compile and compute.
    """

    on_device = True

    def __init__(self, number: int, memory_gb: float | None = None) -> None:
        cupy = _cupy(number)
        self._device = cupy.cuda.Device(number)
        self._limit = int(1e9 * memory_gb) if memory_gb else 0
        self.enter()
        try:
            float(cupy.ones(2, cupy.float32).sum())  # better now than in the middle of a scan
        except Exception as error:  # of the compiler, its headers, the driver: each has its own
            raise ValueError(f"CuPy cannot compute: {error}") from error
        self.name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        _used[number] = self.name

    @property
    def software(self) -> str:
        """Versions of what computes on it, for people."""
        cupy = sys.modules["cupy"]
        cuda = cupy.cuda.runtime
        ours, drivers = _version(cuda.runtimeGetVersion()), _version(cuda.driverGetVersion())
        return f"CuPy {cupy.__version__}, CUDA {ours}, a driver for CUDA {drivers}"

    def enter(self) -> None:
        """Make it the device of this thread, with its limits."""
        cupy = sys.modules["cupy"]
        self._device.use()
        self._pool = cupy.get_default_memory_pool()
        self._pool.set_limit(size=self._limit)
        plans = cupy.fft.config.get_plan_cache()
        plans.set_size(PLANS)
        # CuPy raises for a plan beyond this, so it must be more than fits beside its data
        plans.set_memsize(int(PLAN_SHARE * (self._limit or self._device.mem_info[1])))

    def feed(self) -> Feed:
        """Return a feed through pinned memory."""
        return DeviceFeed()

    def bring(self, x: Array) -> Array:
        """Return a device array.

        From where it lies: `asarray` would take as much pinned memory, and keep it.
        """
        if on_device(x):
            return x
        there = sys.modules["cupy"].empty(x.shape, x.dtype)
        there.set(np.ascontiguousarray(x))
        return there

    def free_bytes(self) -> float:
        """Memory that the device has free, and the pool below its limit."""
        there = float(self._device.mem_info[0]) + self._pool.free_bytes()
        return min(there, self._limit - self._pool.used_bytes()) if self._limit else there

    def peak_bytes(self) -> int:
        """Memory that the pool holds: it grows, and `rest` and `release` alone make it smaller."""
        return int(self._pool.total_bytes())

    def rest(self) -> None:
        """Give back what the pool holds for nobody; the next scan finds this thread's FFT plans.

        Unless their work areas are large.
        """
        if sys.modules["cupy"].fft.config.get_plan_cache().get_curr_memsize() > KEPT_PLAN_BYTES:
            self.release()
        self._pool.free_all_blocks()

    def release(self) -> None:
        """Give back what the pool holds for nobody, and this thread's FFT plans."""
        sys.modules["cupy"].fft.config.get_plan_cache().clear()
        self._pool.free_all_blocks()


def still_computes() -> str:
    """Compute a little on each device that this process has computed on; return their names.

    Raises ValueError for one that does so no longer: after some errors CUDA refuses a process all
    that it asks for.
    """
    for number, name in _used.items():
        cupy = sys.modules["cupy"]
        try:
            with cupy.cuda.Device(number):
                float(cupy.ones(2, cupy.float32).sum())
        except Exception as error:
            raise ValueError(f"{name} does not compute any more: {error}") from error
    return ", ".join(_used.values()) or Host.name


def devices() -> int:
    """Return how many CUDA devices CuPy finds; none without it."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount())
    except (ImportError, RuntimeError):
        return 0


def _version(number: int) -> str:
    """Write CUDA's 12040 as 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _cupy(number: int) -> Any:
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except ImportError as error:
        raise ValueError(f"CuPy is not there: {error}") from error
    except RuntimeError as error:  # what CUDA's errors are
        raise ValueError(f"CuPy finds no CUDA device: {error}") from error
    if number >= count:
        raise ValueError(f"there is no CUDA device {number}; there are {count}, counted from 0")
    return cupy
