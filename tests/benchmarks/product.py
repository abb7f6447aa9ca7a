"""The product in a process of its own, resident as behind a Gadgetron's <connect>."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

COMMAND = "from gadgetron_qsm.cli import main; main()"
LISTENS = re.compile(r"listens on 127\.0\.0\.1:(\d+)$")
PLANNED = re.compile(r"needs? ([\d.]+) GB")
RESET_PEAK = "5"  # to clear_refs, see proc(5)


class Product:
    """`gadgetron-qsm gadget`: its port, its memory and its log."""

    def __init__(self) -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 - __exit__ ends it
        command = ["--verbose", "gadget", "--port", "0"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *command],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout
        listens = LISTENS.search(self._process.stdout.readline())
        if not listens:
            raise RuntimeError(f"the product did not start: {self.log}")
        self.port = int(listens[1])

    @property
    def log(self) -> str:
        """What it has logged."""
        return Path(self._log.name).read_text()

    def planned_gb(self) -> float | None:
        """Memory that it planned for the last scan, as it logged it."""
        found = PLANNED.findall(self.log)
        return float(found[-1]) if found else None

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew, where the system has that."""
        try:
            Path(f"/proc/{self._process.pid}/clear_refs").write_text(RESET_PEAK)
        except OSError:
            return

    def peak_bytes(self) -> int | None:
        """Most resident memory since the start, or since it was told to forget."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return 1024 * int(found[1]) if found else None

    def __enter__(self) -> Product:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)
        self._log.close()
