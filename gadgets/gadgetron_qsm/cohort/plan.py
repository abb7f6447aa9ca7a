"""What of a cohort is done already, and what there is to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gadgetron_qsm import __version__
from gadgetron_qsm.cohort.finished import NAME, Finished, Input, read_finished
from gadgetron_qsm.cohort.task import Task, place_of
from gadgetron_qsm.errors import QsmError


@dataclass(frozen=True)
class Planned:
    """A scan: what is there of it, if that may stay, or else why it is to be replayed."""

    task: Task
    finished: Finished | None
    why: str = ""


def planned(tasks: Iterable[Task], *, resume: bool) -> Iterator[Planned]:
    """Tell of each scan whether it is to be replayed: with `resume` not what is done."""
    for task in tasks:
        finished = read_finished(task.folder)
        why = _why_again(task, finished) if resume else _why_at_all(task, finished)
        yield Planned(task, None if why else finished, why)


def _why_at_all(task: Task, finished: Finished | None) -> str:
    return "done, but without --resume" if finished else _unfinished(task)


def _unfinished(task: Task) -> str:
    return "results not whole" if (task.folder / NAME).exists() else "new"


def _why_again(task: Task, finished: Finished | None) -> str:
    """Say why results do not do; nothing when they do."""
    if not finished:
        return _unfinished(task)
    if finished.settings != task.settings:
        return "other settings"
    if finished.software != __version__:
        return f"made by version {finished.software}"
    if not _same_input(task, finished.input):
        return "other raw data"
    if task.bids and not _in_dataset(task, finished):
        return "not in the BIDS dataset"
    return ""


def _same_input(task: Task, before: Input) -> bool:
    """Whether the raw file is what it was; it is read when its time alone is another."""
    if before.looks_like(task.raw):
        return True
    try:
        size = task.raw.stat().st_size
        return size == before.bytes and Input.of(task.raw).sha256 == before.sha256
    except (OSError, QsmError):
        return False


def _in_dataset(task: Task, finished: Finished) -> bool:
    from gadgetron_qsm.bids.place import holds

    place = place_of(task, finished.input)
    return place is not None and holds(place, finished.maps)
