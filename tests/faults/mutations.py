"""Thousands of spoilt streams to one server: each must end soon, with an error line or a series.

python -m tests.faults.mutations --count 10000 --seed 0 --command gadget

tells how they ended, the slowest and the most memory; `--first N --count 1` repeats one. Exit
status 1 when one did not end as it must. What is logged late is said of the stream behind it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.census import forget_peak, peak_bytes, resident_bytes
from tests.faults.judge import judge
from tests.faults.served import SOON_S, SPOOL_GB, Served, impatient, told
from tests.faults.spoilt import spoilt

MOST_BYTES = 300 << 20  # that a spoilt stream may take beside what the server holds at rest


@dataclass
class Outcome:
    """What became of one stream."""

    number: int
    done: str
    ending: str
    problems: list[str]
    took_s: float
    bytes: int


def outcomes(served: Served, seed: int, numbers: range) -> Iterator[Outcome]:
    """Send spoilt streams, one after the other."""
    for number in numbers:
        sent = spoilt(seed, number)
        at_rest = resident_bytes(served.pid)
        forget_peak(served.pid)
        start = time.monotonic()
        answer, problems = told(served.port, sent.stream, waits=sent.waits)
        took_s = time.monotonic() - start
        verdict = judge(sent.stream, answer, served.log_since())
        taken = peak_bytes(served.pid) - at_rest
        if took_s > SOON_S:
            verdict.problems.append(f"took {took_s:.1f} s")
        if taken > MOST_BYTES:
            verdict.problems.append(f"took {taken >> 20} MB")
        problems += verdict.problems
        yield Outcome(number, sent.done, verdict.ending, problems, took_s, taken)


def left_behind(served: Served) -> list[str]:
    """What is wrong with a server when all is over, and with its spool."""
    settled = served.settles()
    problems = [] if settled else [f"it holds {served.census()} and not {served.at_rest}"]
    if "Traceback" in (log := served.log_since()):
        problems.append(f"a fault of ours: {log.strip().splitlines()[-1]}")
    kept = sum(file.stat().st_size for file in (served.folder / "spool").iterdir())
    if kept > SPOOL_GB * 1e9:
        problems.append(f"the spool has {kept} bytes")
    return problems


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--count", type=int, default=10_000)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--command", choices=("serve", "gadget"), default="serve")
    given = arguments.parse_args()
    numbers = range(given.first, given.first + given.count)
    with tempfile.TemporaryDirectory() as folder:
        served = Served(given.command, Path(folder), impatient(Path(folder)))
        try:
            return _told(served, outcomes(served, given.seed, numbers))
        finally:
            served.end()


def _told(served: Served, all_of_them: Iterator[Outcome]) -> int:
    start, seen, before = time.monotonic(), [], resident_bytes(served.pid)
    for outcome in all_of_them:
        seen.append(outcome)
        for problem in outcome.problems:
            print(f"{outcome.number} ({outcome.done}): {problem}", flush=True)
    for ending, count in Counter(outcome.ending for outcome in seen).most_common():
        print(f"{count:6d}  {ending}")
    slowest = max(seen, key=lambda outcome: outcome.took_s)
    largest = max(seen, key=lambda outcome: outcome.bytes)
    print(f"{len(seen)} streams in {time.monotonic() - start:.0f} s; the slowest took")
    print(f"{slowest.took_s:.2f} s ({slowest.number}, {slowest.done}); the most memory beside what")
    print(f"is held at rest was {largest.bytes >> 20} MB ({largest.number}, {largest.done})")
    after = resident_bytes(served.pid)
    print(f"the server held {before >> 20} MB before and {after >> 20} MB afterwards")
    wrong, left = sum(bool(outcome.problems) for outcome in seen), left_behind(served)
    print(f"{wrong} did not end as they must", *left, sep="\n")
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
