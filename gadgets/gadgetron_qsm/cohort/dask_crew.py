"""The workers of a Dask scheduler that scans may be given to."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from gadgetron_qsm import __version__
from gadgetron_qsm.cohort.dask_worker import About, about, versions
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site.privacy import line_of

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

VERSION = "gadgetron_qsm:__version__"  # of whoever is asked for pkgutil.resolve_name of it


class Crew:
    """Who is there; each worker is asked once whether it is fit.

    Fit is who has our version and sees our folders. `fit` is what those said, by their addresses,
    and `refused` is why others get no scans.
    """

    def __init__(self, client: Client, files: Sequence[Path], folders: Sequence[Path]) -> None:
        """Workers are to see `files` and `folders`, in which we can write.

        Raises QsmError when the scheduler, which reads what workers are sent, is unfit itself.
        """
        self.fit: dict[str, About] = {}
        self.refused: dict[str, str] = {}
        self._client, self._files, self._folders = client, files, folders
        self._told: set[str] = set()
        try:
            found = client.run_on_scheduler(pkgutil.resolve_name, VERSION)
        except (ImportError, AttributeError) as error:
            found = error
        if why := _other(found):
            raise QsmError(f"the Dask scheduler cannot be used: it {why}")

    @property
    def with_gpu(self) -> list[str]:
        """The addresses of those that offer a GPU."""
        return [address for address, worker in self.fit.items() if worker.gpu]

    def holder(self, folder: Path) -> str | None:
        """Return who computes a scan into that folder already."""
        holders = (address for address, worker in self.fit.items() if worker.folder == folder)
        return next(holders, None)

    def look(self) -> None:
        """Note who has left, and ask who has come; raise OSError when no scheduler answers."""
        present = set(self._client.nthreads())
        for known in (self.fit, self.refused):
            for address in known.keys() - present:
                del known[address]
        strangers = present - self.fit.keys() - self.refused.keys()
        same = []
        # The version comes first: what else they are asked, others need not understand.
        for address, found in self._run(strangers, pkgutil.resolve_name, VERSION):
            if why := _other(found):
                self._refuse(address, why)
            else:
                same.append(address)
        with ExitStack() as stack:
            marks = [_marked(folder, stack) for folder in self._folders] if same else []
            for address, told in self._run(same, about, (*self._files, *marks)):
                self._welcome(address, told)

    def forget(self, address: str) -> None:
        """Take a worker for lost; who is there all the same is asked again."""
        self.fit.pop(address, None)

    def _run(
        self, workers: Sequence[str] | set[str], function: Callable[..., Any], *arguments: Any
    ) -> Iterator[tuple[str, Any]]:
        """Call a function in workers; leave out those that are gone meanwhile."""
        if workers:
            found = self._client.run(
                function, *arguments, workers=sorted(workers), on_error="return"
            )
            yield from (pair for pair in found.items() if not isinstance(pair[1], OSError))

    def _welcome(self, address: str, told: About | Exception) -> None:
        if isinstance(told, Exception):
            self._refuse(address, f"failed when it was asked: {line_of(told)}")
        elif told.unseen:
            path = told.unseen if told.unseen in self._files else told.unseen.parent
            here = f"does not see {path} as it is here"
            self._refuse(address, f"{here}: workers need the same folders, at the same paths")
        else:
            self.fit[address] = told
            for name, ours in versions().items():
                if (theirs := told.versions[name]) != ours:
                    line = f"a worker has {name} {theirs}, not {ours} as here"
                    self._warn(f"{line}: its maps may differ in their last digits")

    def _refuse(self, address: str, why: str) -> None:
        self.refused[address] = why
        self._warn(f"a worker gets no scans: it {why}", address)

    def _warn(self, line: str, address: str = "") -> None:
        """Warn of a thing once: sixty workers are started alike."""
        if line not in self._told:
            self._told.add(line)
            log.warning("%s%s", line, f" ({address})" if address else "")


def _other(found: Any) -> str | None:
    """Say in which way what somebody answered for our version is not that."""
    if found == __version__:
        return None
    if isinstance(found, Exception):
        return f"has no gadgetron-qsm: install version {__version__} there"
    return f"has gadgetron-qsm {found}: install version {__version__} there, as here"


def _marked(folder: Path, stack: ExitStack) -> Path:
    """Write a file that nobody can have by chance: a folder of that name anybody may have."""
    try:
        return Path(stack.enter_context(NamedTemporaryFile(prefix=".seen-", dir=folder)).name)
    except OSError as error:
        raise QsmError(f"cannot write in {folder}: {error.strerror}") from error
