"""One raw file, whose results go into the output folder itself."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from gadgetron_qsm.bids.dataset import write_dataset
from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.cohort.cohort import events
from gadgetron_qsm.cohort.lock import alone_in
from gadgetron_qsm.cohort.plan import planned
from gadgetron_qsm.cohort.task import Failed, Fraction, Task, Went, perform
from gadgetron_qsm.delivery.deliver import nodes_of
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.accuracy import accuracy_table
from gadgetron_qsm.terminal import bar, print_line, screen


def replay_alone(asked: Asked) -> None:
    """Replay a file, here in this process or by a scheduler's workers, and tell what there is.

    Raises QsmError as cohort.task.perform.
    """
    (task,), _ = asked.tasks()
    with alone_in(asked.output):
        (scan,) = planned([task], resume=asked.resume)
        if not scan.finished:
            with bar(f"replaying {task.raw.name}") as update:
                _perform(asked, task, update)
        if asked.bids:
            write_dataset(asked.bids)
    _tell(asked, kept=bool(scan.finished))


def _perform(asked: Asked, task: Task, update: Fraction) -> None:
    if not asked.scheduler:
        perform(task, update)
        return
    with closing(events(asked, [task])) as told:
        for event in told:
            if isinstance(event, Went):
                update(event.fraction)
            elif isinstance(event, Failed):
                raise QsmError(event.reason)


def _tell(asked: Asked, *, kept: bool) -> None:
    settings = asked.settings
    if accuracy := _report(asked.output).get("accuracy"):
        screen.print(accuracy_table(accuracy))
    measured = "measurement, " if settings.measure.asked else ""
    where = "kept in" if kept else "written to"
    print_line(f"{where} {asked.output}/: dicom, images.h5, {measured}report.html, report.json")
    nodes = [] if asked.server and not asked.overrides else nodes_of(settings.store)
    if nodes and not kept:
        print_line(f"sent to: {', '.join(node.name for node in nodes)}")


def _report(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    except FileNotFoundError:  # a server that is set to send DICOM alone
        return {}
    return told
