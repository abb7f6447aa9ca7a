"""Hundreds of scans through one server, some of them spoilt: what it holds must stay the same.

python -m tests.faults.soak --scans 200

tells memory, descriptors and threads as the scans go by; `--together 8` has so many clients at
once. Exit status 1 when memory would grow by more than 5 % in 200 scans, or anything else stays.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults import small_scan
from tests.faults.census import Census, resident_bytes
from tests.faults.served import SERIES, Served, names
from tests.faults.spoilt import spoilt

WARM_UP = 20  # scans, after which memory may not grow
SCANS, GROWTH = 200, 1.05  # behind so many more, so much memory at most
SPOILT = 5  # every so many scans one is spoilt
MOST_WARM = 8  # of server.warm
FORMS = [form for form in small_scan.FORMS if form != "repetitions"]


@dataclass
class Sample:
    """What the server held when a scan was over."""

    scan: int
    bytes: int
    held: Census


def soak(served: Served, scans: int, together: int = 1) -> Iterator[Sample]:
    """Send scans of every form; each that is not spoilt must give its series."""
    with ThreadPoolExecutor(together) as clients:
        for first in range(0, scans, together):
            list(clients.map(lambda n: _send(served, n), range(first, first + together)))
            held = served.steady() if together > 1 else _at_rest(served)
            yield Sample(first + together, resident_bytes(served.pid), held)


def _at_rest(served: Served) -> Census:
    assert served.settles(), f"{served.census()} and not {served.at_rest}"
    return served.census()


def growth(samples: list[Sample]) -> float:
    """Memory behind SCANS more scans over that behind the warm-up, at the rate that was seen.

    That is between the first and the last tenth of the samples with as many processes as serve in
    the end.
    """
    processes = samples[-1].held.processes
    warm = [s for s in samples if s.scan > WARM_UP and s.held.processes == processes]
    part = max(1, len(warm) // 10)
    first, last = (statistics.median(s.bytes for s in some) for some in (warm[:part], warm[-part:]))
    return 1 + (last / first - 1) * SCANS / (warm[-part].scan - warm[0].scan)


def _send(served: Served, number: int) -> None:
    form = FORMS[number % len(FORMS)]
    if number % SPOILT == SPOILT - 1:
        with served.client() as peer:
            peer.send(spoilt(0, number).stream)
            peer.sent()
        return
    answer = served.answer(b"".join(small_scan.stream(form)))
    assert names(answer) == SERIES, (form, answer.refusals)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--scans", type=int, default=SCANS)
    arguments.add_argument("--together", type=int, default=1)
    arguments.add_argument("--command", choices=("serve", "gadget"), default="serve")
    given = arguments.parse_args()
    processes = given.together + 1  # a spoilt one may go on behind its client's back
    with tempfile.TemporaryDirectory() as folder:
        limits = {
            "server.connections": str(processes),
            "server.warm": str(min(processes, MOST_WARM)),
        }
        served = Served(given.command, Path(folder), limits)
        try:
            return _told(served, soak(served, given.scans, given.together))
        finally:
            served.end()


def _told(served: Served, samples: Iterator[Sample]) -> int:
    start, seen = time.monotonic(), []
    print("scans     MB  processes  descriptors  threads")
    for sample in samples:
        seen.append(sample)
        if sample.scan % 20 == 0 or sample.scan < 3:
            held = sample.held
            print(
                f"{sample.scan:5d}  {sample.bytes >> 20:5d}  {held.processes:9d}  "
                f"{held.descriptors:11d}  {held.threads:7d}",
                flush=True,
            )
    grown, took_s = growth(seen), time.monotonic() - start
    print(f"{seen[-1].scan} scans in {took_s:.0f} s; memory in {SCANS} scans x {grown:.3f}")
    fixed = {s.held.fixed for s in seen if s.held.processes == seen[-1].held.processes}
    well = grown <= GROWTH and len(fixed) == 1 and "Traceback" not in served.log_since()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
