"""What a replay is asked for, as tasks, and as the command that asks for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gadgetron_qsm.bids.dataset import require_dataset
from gadgetron_qsm.bids.names import labels, require_distinct
from gadgetron_qsm.cohort.dask_clusters import require_scheduler
from gadgetron_qsm.cohort.find import found
from gadgetron_qsm.cohort.finished import settings_hash
from gadgetron_qsm.cohort.task import Task
from gadgetron_qsm.exchange import Address
from gadgetron_qsm.settings import Settings, properties_of

PROGRAM = "gadgetron-qsm"
SECRET, HIDDEN = ("identity.key",), "***"  # in commands that are told, for people to fill in


@dataclass(frozen=True)
class Asked:
    """The arguments and options of the command.

    `config`, `overrides` and `server` are those of replay.replay.
    """

    sources: Sequence[Path]
    output: Path
    config: str = "qsm"
    overrides: Mapping[str, str] = field(default_factory=dict)
    server: Address | None = None
    bids: Path | None = None
    scheduler: str | None = None
    jobs: int | None = None
    resume: bool = False

    @property
    def one(self) -> bool:
        """Whether it is one file, whose results go into the output folder itself."""
        return len(self.sources) == 1 and not self.sources[0].is_dir()

    @property
    def properties(self) -> dict[str, str]:
        """Those of the configuration, and the changes to them."""
        return properties_of(self.config, self.overrides)

    @property
    def settings(self) -> Settings:
        """What they come to; raises UsageError for wrong ones."""
        return Settings.from_properties(self.properties)

    def tasks(self) -> tuple[list[Task], int]:
        """Return the scans by name, and how many files were left out, as `found`.

        Their paths are absolute: who replays them may work in another folder. Raises UsageError as
        `found`, and for a scheduler or settings that are wrong; QsmError as
        bids.dataset.require_dataset.
        """
        if self.scheduler:
            require_scheduler(self.scheduler, self.jobs)
        if self.bids:
            require_dataset(self.bids)
        settings = settings_hash(self.config, self.overrides, self.server)
        scans = found(self.sources, self.output)
        called = _labels([scan.name for scan in scans.scans]) if self.bids else {}
        tasks = [
            Task(
                name=scan.name,
                raw=scan.raw.absolute(),
                folder=self.output.absolute() / ("" if self.one else scan.name),
                settings=settings,
                config=_absolute(self.config),
                overrides=self.overrides,
                server=self.server,
                bids=self.bids.absolute() if self.bids else None,
                **called.get(scan.name, {}),
            )
            for scan in scans.scans
        ]
        return tasks, scans.left_out

    def command(self) -> str:
        """Return the command that goes on where this one ended."""
        return self._command(self.sources, self.output, *self._jobs, "--resume")

    def command_of(self, task: Task) -> str:
        """Return the command that replays a scan alone, with the same results in the same place."""
        jobs = self._jobs if self.scheduler == "slurm" else ()  # which needs to be told
        if self.one:
            return self._command(self.sources, self.output, *jobs)
        if self.bids:  # whose labels are made of the scan's name in the cohort
            return self.command()
        return self._command([task.raw], task.folder, *jobs)

    @property
    def _jobs(self) -> Sequence[str]:
        return ("--jobs", str(self.jobs)) if self.jobs else ()

    def _command(self, sources: Sequence[Path], output: Path, *more: str) -> str:
        words = [PROGRAM, "replay", *map(_word, sources), "--output", str(output)]
        words += ["--config", self.config] if self.config != "qsm" else []
        for key, value in self.overrides.items():
            words += ["--set", f"{key}={HIDDEN if key in SECRET else value}"]
        if self.server:
            words += ["--server", "{}:{}".format(*self.server)]
        words += ["--bids", str(self.bids)] if self.bids else []
        words += ["--scheduler", self.scheduler] if self.scheduler else []
        return shlex.join([*words, *more])


def _word(source: Path) -> str:
    """Return a path in a form that is no option."""
    return f"./{source}" if str(source).startswith("-") else str(source)


def _absolute(config: str) -> str:
    return str(Path(config).absolute()) if Path(config).is_file() else config


def _labels(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what the scans are called in a BIDS dataset; raise UsageError for two that are one."""
    require_distinct(names)
    return {name: dict(zip(("label", "session"), labels(name), strict=True)) for name in names}
