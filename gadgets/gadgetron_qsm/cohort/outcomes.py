"""What became of the scans of a cohort, and cohort.json, which says so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gadgetron_qsm import __version__
from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.cohort.finished import Finished
from gadgetron_qsm.cohort.plan import Planned
from gadgetron_qsm.cohort.task import Began, Done, Event, Failed, Task
from gadgetron_qsm.report.files import write_json

State = Literal["waiting", "begun", "done", "kept", "failed"]
Stage = Literal["running", "ended", "interrupted"]

NAME = "cohort.json"
SCHEMA = {"name": "gadgetron-qsm cohort", "version": 1}


@dataclass
class Outcome:
    """Where a scan stands. `kept` were done before; a failed one has the reason why, in a line."""

    task: Task
    state: State
    finished: Finished | None = None
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """How long the replay took, when that was now."""
        if self.state != "done" or not self.finished:
            return None
        return sum(self.finished.seconds.values())


class Outcomes:
    """Where all scans stand, by name; `write` tells others of it."""

    def __init__(self, asked: Asked, plan: Sequence[Planned]) -> None:
        self._asked, self._start = asked, time.monotonic()
        self.scans = {
            p.task.name: Outcome(p.task, "kept" if p.finished else "waiting", p.finished)
            for p in plan
        }

    def note(self, event: Event) -> None:
        """Note what happened with a scan."""
        scan = self.scans[event.name]
        if isinstance(event, Began):
            scan.state = "begun"
        elif isinstance(event, Done):
            scan.state, scan.finished = "done", event.finished
        elif isinstance(event, Failed):
            scan.state, scan.reason = "failed", event.reason

    def those(self, *states: State) -> list[Outcome]:
        """Return the scans in one of the states."""
        return [scan for scan in self.scans.values() if scan.state in states]

    def totals(self) -> dict[str, int]:
        """Return how many scans there are, and in each of the states that scans are in."""
        return {"scans": len(self.scans), **Counter(scan.state for scan in self.scans.values())}

    def write(self, stage: Stage) -> None:
        """Write cohort.json, in one piece; raise QsmError when it cannot be."""
        scans = list(self.scans.values())
        content = {
            "schema": SCHEMA,
            "software": __version__,
            "settings": scans[0].task.settings,
            "stage": stage,
            "seconds": round(time.monotonic() - self._start, 3),
            "totals": self.totals(),
            "command": self._asked.command(),
            "scans": [self._told(scan) for scan in scans],
        }
        write_json(self._asked.output / NAME, content)

    def _told(self, scan: Outcome) -> dict[str, Any]:
        task, finished = scan.task, scan.finished
        told = {"name": task.name, "raw": str(task.raw), "state": scan.state}
        if scan.state == "failed":
            return {**told, "reason": scan.reason, "command": self._asked.command_of(task)}
        if not finished:
            return told
        note = {key: value for key, value in asdict(finished).items() if key != "files"}
        return {**told, "folder": _below(task.folder, self._asked.output), **note}


def _below(folder: Path, root: Path) -> str:
    return folder.relative_to(root.absolute()).as_posix()
