"""Time in tests: a clock that is set, and waiting until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self._now = 1.8e9

    def __call__(self) -> float:
        return self._now

    def pass_s(self, seconds: float) -> None:
        self._now += seconds


def until(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait until something holds; fails the test when it does not in time."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
