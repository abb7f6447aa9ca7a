"""What a process and those it started hold: counted from outside, by proc(5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RESET_PEAK = "5"  # to clear_refs


@dataclass(frozen=True)
class Census:
    """Of a whole family of processes; `zombies` ended and nobody asked how."""

    processes: int
    zombies: int
    descriptors: int
    threads: int

    @property
    def fixed(self) -> tuple[int, int, int]:
        """What is the same whenever nothing goes on; pools of threads grow when they are used."""
        return self.processes, self.zombies, self.descriptors


def census(pid: int) -> Census:
    """Count a process and its descendants."""
    members = list(family(pid))
    states = [_status(member).get("State", "Z")[:1] for member in members]
    threads = [int(_status(member).get("Threads", "0")) for member in members]
    return Census(
        len(members),
        states.count("Z"),
        sum(_count(Path(f"/proc/{member}/fd")) for member in members),
        sum(threads),
    )


def resident_bytes(pid: int) -> int:
    """Memory that a process and its descendants hold now; what they share counts once each."""
    return _memory(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Sum of the most that each of them held since `forget_peak`."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peaks begin anew."""
    for member in family(pid):
        with suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text(RESET_PEAK)


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Wait until something holds; tell whether it did in time."""
    deadline = time.monotonic() + within_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


def family(pid: int) -> Iterator[int]:
    """Give a process and its descendants."""
    yield pid
    for task in _entries(Path(f"/proc/{pid}/task")):
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def _memory(pid: int, name: str) -> int:
    words = (_status(member).get(name, "0").split() for member in family(pid))
    return sum(1024 * int(value[0]) for value in words)


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _count(folder: Path) -> int:
    return len(_entries(folder))
