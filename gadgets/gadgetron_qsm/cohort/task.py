"""One scan of a cohort, as it is handed to whoever replays it, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from gadgetron_qsm.cohort.finished import Finished, Input, forget, write_finished

if TYPE_CHECKING:
    from gadgetron_qsm.bids.names import Entities
    from gadgetron_qsm.bids.place import Place

Fraction = Callable[[float], None]


@dataclass(frozen=True)
class Task:
    """A raw file, and the folder that its results go into; it is pickled.

    `name` is what people call the scan, and no other of the cohort. `config`, `overrides` and
    `server` are those of replay.replay. `settings` is the hash of what they come to
    (finished.settings_hash). `bids` is the root of a BIDS dataset that gets the maps as well, and
    `label` and `session` are those of the scan there (bids.names.labels); what else the name says,
    acquisition and run, is taken from it.
    """

    name: str
    raw: Path
    folder: Path
    settings: str
    config: str = "qsm"
    overrides: Mapping[str, str] = field(default_factory=dict)
    server: tuple[str, int] | None = None
    bids: Path | None = None
    label: str = ""
    session: str | None = None


@dataclass(frozen=True)
class Began:
    """Somebody replays the scan now; it may be told again, of a scan that is begun anew."""

    name: str


@dataclass(frozen=True)
class Went:
    """How much of the scan's data has been sent to the chain, 0 to 1."""

    name: str
    fraction: float


@dataclass(frozen=True)
class Done:
    """All of the scan's results are in its folder."""

    name: str
    finished: Finished


@dataclass(frozen=True)
class Failed:
    """There are no results, or not all: why, in a line."""

    name: str
    reason: str


Event = Began | Went | Done | Failed


def place_of(task: Task, source: Input) -> Place | None:
    """Return where the scan's maps go in a dataset, if they do; raises as bids.names.entities."""
    if task.bids is None:
        return None
    from gadgetron_qsm.bids.place import Place

    path = sha256(str(task.raw.resolve()).encode(errors="surrogateescape")).hexdigest()
    return Place(task.bids, named(task), source.sha256, path)


def named(task: Task) -> Entities:
    """Return what the scan is called in a dataset; raises as bids.names.entities."""
    from gadgetron_qsm.bids.names import entities

    found = entities(task.name)
    label, session = task.label or found.subject, task.session or found.session
    return replace(found, subject=label, session=session)


def perform(task: Task, progress: Fraction | None = None) -> Finished:
    """Replay a scan in this process; the last thing that is written tells that it is done.

    Raises QsmError as replay.replay, and for a file that changed meanwhile.
    """
    from gadgetron_qsm.replay import replay  # with it come the libraries of a scan

    forget(task.folder)
    start = time.perf_counter()
    source = Input.of(task.raw)
    hashed = time.perf_counter()
    done = replay(
        task.raw,
        task.folder,
        config=task.config,
        overrides=task.overrides,
        server=task.server,
        progress=(lambda sent, total: progress(sent / total)) if progress else None,
        bids=place_of(task, source),
    )
    seconds = {"hash": hashed - start, "replay": time.perf_counter() - hashed}
    source.require_unchanged(task.raw)
    return write_finished(task.folder, source, task.settings, done.maps, seconds)
