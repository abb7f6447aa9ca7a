"""A cohort from beginning to end: plan, replay, and what is left for people."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.bids.dataset import write_dataset
from gadgetron_qsm.cohort import distributed, local
from gadgetron_qsm.cohort.asked import PROGRAM, Asked
from gadgetron_qsm.cohort.figures import row_of
from gadgetron_qsm.cohort.lock import alone_in
from gadgetron_qsm.cohort.machine import at_once
from gadgetron_qsm.cohort.outcomes import Outcomes
from gadgetron_qsm.cohort.page import write_cohort
from gadgetron_qsm.cohort.plan import planned
from gadgetron_qsm.cohort.shown import shown
from gadgetron_qsm.cohort.tables import print_outcomes, print_plan
from gadgetron_qsm.cohort.task import Task
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server.child import TO_THE_PARENT
from gadgetron_qsm.terminal import print_line


class Interrupted(BaseException):
    """A signal, by its number, asks for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def show_plan(asked: Asked) -> None:
    """Print what would be done; change nothing."""
    tasks, left_out = asked.tasks()
    print_plan(planned(tasks, resume=asked.resume), asked.settings)
    _tell_left_out(left_out)


def replay_cohort(asked: Asked) -> None:
    """Replay scans into a folder each; leave cohort.json, and the page of all.

    Raises QsmError, at the end, when some failed; Interrupted, with all processes ended and
    cohort.json written, by SIGINT and SIGTERM. To be called by the main thread.
    """
    tasks, left_out = asked.tasks()
    _tell_left_out(left_out)
    with alone_in(asked.output), _signals():
        outcomes = Outcomes(asked, list(planned(tasks, resume=asked.resume)))
        outcomes.write("running")
        try:
            _replay(asked, outcomes)
        except BaseException:
            outcomes.write("interrupted")
            raise
        print_outcomes(outcomes, asked)  # first: the disk may be full
        outcomes.write("ended")
        _settle(asked, outcomes)
    if failed := outcomes.those("failed"):
        raise QsmError(f"{len(failed)} of {len(tasks)} scans failed; see above")


def _replay(asked: Asked, outcomes: Outcomes) -> None:
    tasks = [scan.task for scan in outcomes.those("waiting")]
    if not tasks:
        return
    with shown(len(tasks)) as show, closing(events(asked, tasks)) as told:
        for event in told:
            outcomes.note(event)
            show(event)


def events(asked: Asked, tasks: Sequence[Task]) -> Any:
    """Return what happens with the tasks, an iterator that can be closed, as they are replayed."""
    if asked.scheduler:
        return distributed.performed(tasks, asked.scheduler, jobs=asked.jobs)
    jobs, gpus = at_once(asked)
    return local.performed(tasks, jobs, gpus=gpus)


def _settle(asked: Asked, outcomes: Outcomes) -> None:
    """Leave what is of the whole cohort: the page, and the description of the BIDS dataset."""
    scans = outcomes.scans.values()
    if asked.bids and outcomes.those("done", "kept"):
        write_dataset(asked.bids)
    write_cohort(
        asked.output,
        [row_of(s.task.folder, s.task.name, s.reason or None) for s in scans],
        about={"software": f"{PROGRAM} {__version__}", "configuration": asked.config},
    )


def _tell_left_out(count: int) -> None:
    if count:
        print_line(f"left out, HDF5 files without raw data: {count}")


@contextmanager
def _signals() -> Iterator[None]:
    """Raise Interrupted for the first signal; what is done then is not to be interrupted."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in TO_THE_PARENT:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in TO_THE_PARENT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
