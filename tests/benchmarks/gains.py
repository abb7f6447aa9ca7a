"""What each optimisation buys: the plain way, the package's way, and their ratio, in one run.

Usage: python -m tests.benchmarks.gains [--device cpu|gpu] [--json FILE] [NAME ...]

A new pair is one line of `pairs.PAIRS`: its name, and a function that takes arrays to where they
are computed with and returns the two tasks. They take turns, and the best of each counts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from gadgetron_qsm.processors import processors
from tests.benchmarks import machine
from tests.benchmarks.pairs import HOST_ONLY, PAIRS, Task, There

REPEATS, LEAST_S, MOST_REPEATS = 5, 1.0, 100  # of a pair: more where it is short


def main(arguments: list[str] | None = None) -> None:
    """Print the table, rows as they are done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="words of the pairs' names")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    there, wait = _device() if given.device == "gpu" else (np.asarray, lambda: None)
    print(f"{machine.described()}")
    print(f"{'':34}{'plain, ms':>12}{'ours, ms':>12}{'ratio':>8}{'load':>8}")
    told = {}
    for name, make in PAIRS.items():
        on_device = given.device == "cpu" or make not in HOST_ONLY
        if on_device and all(word in name for word in given.names):
            told[name] = plain_ms, ours_ms = measured(*make(there), wait)
            ratio = plain_ms / ours_ms
            print(
                f"{name:34}{plain_ms:12.1f}{ours_ms:12.1f}{ratio:8.2f}{machine.load():8.1f}",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps({**machine.described(), "ms": told}, indent=1) + "\n")


def measured(plain: Task, ours: Task, wait: Task) -> tuple[float, float]:
    """Best times of both in ms; each runs once before, which compiles it."""
    times: dict[Task, list[float]] = {plain: [], ours: []}
    with processors():
        plain(), ours(), wait()
        begun = time.perf_counter()
        for turn in range(MOST_REPEATS):
            for task, of_task in times.items():
                start = time.perf_counter()
                task()
                wait()
                of_task.append(1000 * (time.perf_counter() - start))
            if turn + 1 >= REPEATS and time.perf_counter() - begun > LEAST_S:
                break
    return min(times[plain]), min(times[ours])


def _device() -> tuple[There, Task]:
    import cupy

    return cupy.asarray, cupy.cuda.Device().synchronize


if __name__ == "__main__":
    main()
