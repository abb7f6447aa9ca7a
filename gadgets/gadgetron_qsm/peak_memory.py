"""How much memory this process has taken."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

_FORGET_PEAK = "5"  # proc(5), /proc/pid/clear_refs


def peak_memory_bytes() -> int:
    """Largest resident memory that this process has had, since `forget_peak` where that works.

    Linux's own figure is asked first: that of getrusage begins at what the parent had, and is not
    forgotten.
    """
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Let the peak begin anew at what is held now: a scan's is then not that of one before.

    Of Linux alone; elsewhere it stays that of the process.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
