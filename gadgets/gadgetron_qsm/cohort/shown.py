"""How far a cohort is: bars on a terminal, or else a line when a scan begins and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gadgetron_qsm.cohort.task import Began, Done, Event, Failed, Went
from gadgetron_qsm.terminal import print_line, screen

Show = Callable[[Event], None]

LONG_S = 3600.0  # behind us, from which the time that is left is estimated
BESIDES = 48  # columns for a bar, what is said and the times
ALMOST = 0.999  # of a bar: its clock runs on until the scan is done


@contextmanager
def shown(scans: int) -> Iterator[Show]:
    """Give what is to be called with each event of so many scans."""
    if not screen.is_terminal:
        yield _Lines(scans)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    times = (TimeElapsedColumn(), _Left())
    with Progress(*columns, *times, console=screen, speed_estimate_period=LONG_S) as progress:
        yield _Bars(progress, scans)


class _Lines:
    """A line of each that began or ended."""

    def __init__(self, scans: int) -> None:
        self._scans, self._ended = scans, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Began):
            print_line(f"begun: {event.name}")
        elif isinstance(event, Done | Failed):
            self._ended += 1
            print_line(f"{_end(event)} ({self._ended} of {self._scans})")


class _Left(TimeRemainingColumn):
    """The time that is left for all; of one scan nobody knows how long it computes."""

    def render(self, task: Task) -> Text:
        """Return it, or nothing."""
        return super().render(task) if task.fields["whole"] else Text()


class _Bars:
    """A bar of each that runs, and one of all."""

    def __init__(self, progress: Progress, scans: int) -> None:
        self._progress, self._scans = progress, scans
        self._running: dict[str, TaskID] = {}
        self._all = progress.add_task("all", total=scans, said="", whole=True)
        self._ended = self._failed = 0

    def __call__(self, event: Event) -> None:
        name = event.name
        if isinstance(event, Began):
            self._stop(name)
            self._running[name] = self._progress.add_task(
                escape(_short(name)), total=1.0, said="", whole=False
            )
        elif isinstance(event, Went):
            if name not in self._running:
                return
            said = "computing" if event.fraction >= 1 else "sending"
            done = min(event.fraction, ALMOST)
            self._progress.update(self._running[name], completed=done, said=said)
        else:
            self._end(event)

    def _end(self, event: Done | Failed) -> None:
        self._stop(event.name)
        self._ended += 1
        if isinstance(event, Failed):
            self._failed += 1
            self._progress.console.print(_end(event), markup=False, highlight=False)
        failed = f", {self._failed} failed" if self._failed else ""
        said = f"{self._ended} of {self._scans}{failed}"
        self._progress.update(self._all, completed=self._ended, said=said)

    def _stop(self, name: str) -> None:
        if name in self._running:
            self._progress.remove_task(self._running.pop(name))


def _short(name: str) -> str:
    """Return the end, which tells more, of a name that leaves no room for the rest."""
    room = max(screen.width - BESIDES, 16)
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _end(event: Done | Failed) -> str:
    if isinstance(event, Failed):
        return f"failed: {event.name}: {event.reason}"
    return f"done: {event.name}, {sum(event.finished.seconds.values()):.1f} s"
