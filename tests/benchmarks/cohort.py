"""Cohorts: scans at once, killed at random and resumed; what a replay costs beside its scan.

Usage: python -m tests.benchmarks.cohort [--scans 40] [--jobs 1 2] [--kills 2] [--pairs 5]
       [--voxel 4.0] [--pair-voxel 2.0] [--seed 0] [--folder FOLDER]

The scans are small heads, each with noise of its own. Every cohort must have the same maps, bit for
bit, in whichever way it came about; the last column tells. A part with a count of 0 is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gadgetron_qsm.cohort.finished import settings_hash
from gadgetron_qsm.cohort.local import performed
from gadgetron_qsm.cohort.task import Done, Event, Failed, Task
from gadgetron_qsm.phantom import Scan, simulate
from gadgetron_qsm.processors import processors
from gadgetron_qsm.replay import replay
from tests.benchmarks.machine import described, load
from tests.benchmarks.timing import run_chain

COMMAND = "from gadgetron_qsm.cli import main; main()"
SMALL = {"coils": 4, "echo_times_s": (0.005, 0.010, 0.015), "fine_per_voxel": 1}
LARGER = {"coils": 6, "echo_times_s": (0.005, 0.010, 0.015, 0.020), "fine_per_voxel": 1}

Maps = dict[str, Any]  # hashes of all maps, by scan and map


def main() -> None:
    """Print a table of cohorts, and one of single scans."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        if asked.scans:
            _print_cohorts(asked, Path(place))
        if asked.pairs:
            _print_overhead(asked, Path(place))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("scans", 40), ("kills", 2), ("pairs", 5), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--voxel", type=float, default=4.0, help="mm, of the scans of a cohort")
    parser.add_argument("--pair-voxel", type=float, default=2.0, help="mm, of the single scan")
    parser.add_argument("--folder", help="for raw data and results; default the system's")
    return parser.parse_args()


def _print_cohorts(asked: argparse.Namespace, place: Path) -> None:
    raw = place / "raw"
    for number in range(asked.scans):
        voxel = (asked.voxel,) * 3
        _make(raw / f"{number:03}.h5", Scan(voxel_size_mm=voxel, seed=number, **SMALL))
    table = _table(f"{asked.scans} scans of {asked.voxel:g} mm")
    for heading in ("how", "wall s", "s a scan", "times as fast", "complete", "same maps"):
        table.add_column(heading, justify="left" if heading == "how" else "right")
    first: tuple[float, Maps] | None = None
    for how, wall_s, maps in _cohorts(asked, raw, place):
        first = first or (wall_s, maps)
        complete = len(maps) == asked.scans and all(maps.values())
        told = (f"{wall_s:.1f}", f"{wall_s / asked.scans:.2f}", f"{first[0] / wall_s:.2f}")
        table.add_row(how, *told, _yes(complete), _yes(maps == first[1]))
    Console().print(table)


def _cohorts(
    asked: argparse.Namespace, raw: Path, place: Path
) -> Iterator[tuple[str, float, Maps]]:
    wall_s = 0.0
    for jobs in asked.jobs:
        output = place / f"jobs-{jobs}"
        wall_s = _replay(raw, output, "--jobs", str(jobs))
        yield f"--jobs {jobs}", wall_s, _maps(output)
    if find_spec("distributed") and find_spec("gadgetron_qsm.cohort.distributed"):
        output = place / "local"
        dask_s = _replay(raw, output, "--scheduler", "local", "--jobs", "2")
        yield "--scheduler local, 2 workers", dask_s, _maps(output)
    if asked.kills:
        chance = random.Random(asked.seed)
        output, arguments = place / "killed", ("--jobs", str(asked.jobs[-1]), "--resume")
        start = time.perf_counter()
        for _ in range(asked.kills):
            _kill(raw, output, chance.uniform(0.2, 0.8) * wall_s / asked.kills, *arguments)
        _replay(raw, output, *arguments)
        how = f"killed {asked.kills} times, resumed"
        yield how, time.perf_counter() - start, _maps(output)


def _command(raw: Path, output: Path, *arguments: str) -> Sequence[str]:
    command = ["replay", str(raw), "-o", str(output), *arguments]
    return [sys.executable, "-c", COMMAND, *command]


def _replay(raw: Path, output: Path, *arguments: str) -> float:
    """Return how long a cohort took, its processes' start included."""
    start = time.perf_counter()
    subprocess.run(_command(raw, output, *arguments), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _kill(raw: Path, output: Path, after_s: float, *arguments: str) -> None:
    with subprocess.Popen(_command(raw, output, *arguments), stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()


def _maps(output: Path) -> Maps:
    scans = json.loads((output / "cohort.json").read_text())["scans"]
    return {scan["name"]: scan.get("maps") for scan in scans}


def _print_overhead(asked: argparse.Namespace, place: Path) -> None:
    """Print the time of a scan in a cohort, beside that of its replay and of its chain alone.

    They take turns in one run: other work on the machine meets all of them.
    """
    raw = place / "scan.h5"
    _make(raw, Scan(voxel_size_mm=(asked.pair_voxel,) * 3, **LARGER))
    settings = settings_hash("qsm", {})
    tasks = [Task(str(n), raw, place / "cohort", settings) for n in range(asked.pairs + 1)]
    rounds = []
    events = performed(tasks, 1)
    for _ in tasks:
        with processors():
            chain_s = _seconds(lambda: run_chain(raw))
        replay_s = _seconds(lambda: replay(raw, place / "alone"))
        rounds.append((_seconds(lambda: _end_of_one(events)), replay_s, chain_s))
    events.close()
    table = _table(f"a scan of {asked.pair_voxel:g} mm, median of {asked.pairs}")
    for heading in ("scan in a cohort, s", "replay alone, s", "chain alone, s"):
        table.add_column(heading, justify="right")
    for heading in ("cohort over replay", "replay over chain"):
        table.add_column(heading, justify="right")
    warm = rounds[1:]
    medians = [statistics.median(times) for times in zip(*warm, strict=True)]
    over_replay = statistics.median(cohort / alone for cohort, alone, _ in warm)
    over_chain = statistics.median(alone / chain for _, alone, chain in warm)
    told = [f"{value:.2f}" for value in medians] + [f"{over_replay:.3f}", f"{over_chain:.3f}"]
    table.add_row(*told)
    Console().print(table)


def _end_of_one(events: Iterator[Event]) -> None:
    end = next(event for event in events if isinstance(event, Done | Failed))
    if isinstance(end, Failed):
        raise SystemExit(end.reason)


def _seconds(task: Any) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _make(path: Path, scan: Scan) -> None:
    path.parent.mkdir(exist_ok=True)
    simulate(path, scan).unlink()  # the truth


def _table(title: str) -> Table:
    made = described()
    about = f"{made['date']}, {made['processors']} x {made['cpu']}, load before {load()}"
    return Table(title=title, caption=about)


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


if __name__ == "__main__":
    main()
