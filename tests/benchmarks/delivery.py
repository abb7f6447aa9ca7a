"""How fast series are written, kept in an outbox and stored at local nodes, beside storescu.

Usage: python -m tests.benchmarks.delivery [--slices 160] [--side 256] [--repeats 3]

DCMTK's programs leave Nagle's algorithm on, unless TCP_NODELAY=1 is in their environment: each
answer then waits 40 ms for an acknowledgement, whatever else is fast. "no delay" is with it, for
the server and for storescu.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydicom import dcmread
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.data import Map
from gadgetron_qsm.delivery.letters import Line
from gadgetron_qsm.delivery.nodes import Caller
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.store import Answer, store
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from tests.benchmarks.machine import load
from tests.delivery.certificates import Authority
from tests.delivery.servers import Orthanc, Server, StoreScp
from tests.written import write_series

Result = TypeVar("Result")

MAPS = {"chi": "ppb", "r2star": "1/s", "magnitude": "a.u."}
NO_DELAY = {"TCP_NODELAY": "1"}
HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>
<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions><encoding>
<encodedSpace><matrixSize><x>{side}</x><y>{side}</y><z>{slices}</z></matrixSize>
<fieldOfView_mm><x>{side}</x><y>{side}</y><z>{slices}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{side}</x><y>{side}</y><z>{slices}</z></matrixSize>
<fieldOfView_mm><x>{side}</x><y>{side}</y><z>{slices}</z></fieldOfView_mm></reconSpace>
<encodingLimits/><trajectory>cartesian</trajectory></encoding>
<sequenceParameters><TE>5</TE><TE>10</TE></sequenceParameters></ismrmrdHeader>"""


@dataclass(frozen=True)
class File:
    """An entry of an outbox: a file that is read when it is sent."""

    path: Path
    class_uid: str
    instance_uid: str
    transfer_syntax: str

    @property
    def key(self) -> str:
        return self.path.name

    def read(self) -> bytes:
        return self.path.read_bytes()


def main() -> None:
    """Print the rates in slices a second."""
    arguments = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--slices", 160), ("--side", 256), ("--repeats", 3)):
        arguments.add_argument(name, type=int, default=default)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maps = volumes(asked.slices, asked.side)
        writing_s, files = best(asked.repeats, lambda: written(maps, folder / "series"))
        console = Console()
        console.print(
            f"{len(files)} slices of {asked.side} x {asked.side}, 16-bit: "
            f"written at {len(files) / writing_s:.0f} a second (load {load()})"
        )
        console.print(compared(files, folder, asked.repeats))


def volumes(slices: int, side: int) -> list[tuple[Map, Header]]:
    """Return maps of noise, and the header of their scan."""
    rng = np.random.default_rng(0)
    header = Header.parse(HEADER.format(slices=slices, side=side))
    axes = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    geometry = Geometry((slices, side, side), (1, 1, 1), (0, 0, 0), *axes)
    noise = rng.normal(0, 100, geometry.matrix).astype(np.float32)
    return [
        (Map(name=name, unit=unit, geometry=geometry, data=noise), header)
        for name, unit in MAPS.items()
    ]


def written(maps: Iterable[tuple[Map, Header]], folder: Path) -> list[Path]:
    """Write the maps as series; return all files."""
    return [file for volume, header in maps for file in write_series(volume, header, folder)]


def compared(files: Sequence[Path], folder: Path, repeats: int) -> Table:
    """Return the rates of storescu, of an association of ours, and of all from put to sent."""
    entries = [entry(path) for path in files]
    table = Table(title=f"slices stored a second, best of {repeats}")
    for heading in ("server", "storescu", "ours", "ratio", "outbox", "load"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    authority = Authority(folder)
    for label, environment, server in servers(folder, authority):
        caller = Caller(ca_file=authority.file)
        with running(server, environment):
            theirs_s, _ = best(repeats, partial(storescu, server, folder, authority, environment))
            ours_s, answers = best(repeats, partial(stored, server, caller, entries))
            sent_s, left = best(repeats, partial(through_outbox, server, caller, files))
        if left or [answer.key for answer in answers if not answer.refused] != [
            e.key for e in entries
        ]:
            raise SystemExit(f"{label}: not every object was confirmed")
        theirs, ours, sent = (len(files) / taken for taken in (theirs_s, ours_s, sent_s))
        rates = [f"{theirs:.0f}", f"{ours:.0f}", f"{ours / theirs:.2f}", f"{sent:.0f}"]
        table.add_row(label, *rates, f"{load()}")
    return table


def stored(server: Server, caller: Caller, entries: Sequence[File]) -> list[Answer]:
    """Store entries at a server with ours; return what it answered."""
    return list(store(server.node, caller, entries))


def through_outbox(server: Server, caller: Caller, files: Iterable[Path]) -> list[Line]:
    """Put files in a new outbox and send them from there; return what is left."""
    with tempfile.TemporaryDirectory() as folder:
        with Outbox(Path(folder)) as outbox:
            outbox.put((path.read_bytes() for path in files), [server.node], Terms(caller))
        return Sender(Path(folder)).flush()


def servers(folder: Path, authority: Authority) -> Iterator[tuple[str, dict[str, str], Server]]:
    """Label, environment and server of each row."""
    certificate = authority.issue("server")

    def place(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    yield "storescp", {}, StoreScp(place("storescp"))
    yield "storescp, no delay", NO_DELAY, StoreScp(place("fast"))
    yield "storescp, TLS", {}, StoreScp(place("tls"), certificate=certificate)
    yield (
        "storescp, TLS, no delay",
        NO_DELAY,
        StoreScp(place("fast_tls"), certificate=certificate),
    )
    yield "Orthanc", {}, Orthanc(place("orthanc"), OverwriteInstances=True)


@contextmanager
def running(server: Server, environment: dict[str, str]) -> Iterator[Server]:
    """Run a server with an environment."""
    server.environment = environment
    with server:
        yield server


def storescu(
    server: Server, folder: Path, authority: Authority, environment: dict[str, str]
) -> None:
    """Send what the folder of series holds with DCMTK's program."""
    program = shutil.which("storescu")
    if program is None:
        raise SystemExit("storescu is not installed")
    node = server.node
    tls = ["+tla", "+cf", str(authority.file)] if node.tls else []
    where = ["-aec", node.title, node.host, str(node.port)]
    subprocess.run(
        [program, "-q", *tls, "+sd", "+r", *where, str(folder / "series")],
        check=True,
        env={**os.environ, **environment},
    )


def entry(path: Path) -> File:
    """Return a file as something to store."""
    dataset = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"])
    syntax = dataset.file_meta.TransferSyntaxUID
    return File(path, dataset.SOPClassUID, dataset.SOPInstanceUID, syntax)


def best(repeats: int, task: Callable[[], Result]) -> tuple[float, Result]:
    """Return the least seconds of a few runs, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = task()
        times.append(time.perf_counter() - start)
    return min(times), result


if __name__ == "__main__":
    main()
