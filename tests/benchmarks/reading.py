"""How fast raw files are read from memory, beside the ismrmrd package's readers and plain reads.

Usage: python -m tests.benchmarks.reading [MB]

Files are written with readouts of 8 coils x 192 and 32 x 512 samples: one by one, as the package's
Dataset, siemens_to_ismrmrd and Gadgetron write them; all at once, as its File does; echo by echo,
as the simulation does. Every reader takes every readout, but for Dataset, which takes some: it
would take minutes. Rates are of samples, the best of three, by the clock and, behind it, by the CPU
time of this process: from memory both are the same on a machine that nobody shares. The ceiling is
a read of the whole file into memory that is there already.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.mrd.files import RawFile

SHAPES = ((8, 192), (32, 512))  # coils, samples
DIFFERENT, ECHOES, BY_DATASET, TIMES = 8, 5, 200, 3
AT_ONCE = 8 << 20  # bytes of a plain read


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    table = Table(title=f"{megabytes} MB of samples, in MB/s")
    for heading in ("readouts", "written", "ours", "Dataset", "File", "plain read", "ours / File"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for coils, samples in SHAPES:
            count = megabytes * 1_000_000 // (8 * coils * samples)
            for written, write in WRITTEN.items():
                path = Path(folder) / "scan.h5"
                write(path, made(coils, samples), count)
                found = [[rate(path) for _ in range(TIMES)] for rate in READ]
                path.unlink()
                rates = [tuple(map(max, zip(*three, strict=True))) for three in found]
                row = [f"{clock:.0f}, {cpu:.0f}" for clock, cpu in rates]
                row.append(f"{rates[0][1] / rates[2][1]:.1f}")
                table.add_row(f"{coils} x {samples}", written, *row)
    Console(width=120).print(table)


def made(coils: int, samples: int) -> list[ismrmrd.Acquisition]:
    """A few readouts of noise, which a file repeats."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((DIFFERENT, coils, 2 * samples), np.float32).view(np.complex64)
    return [ismrmrd.Acquisition.from_array(one) for one in data]


def one_by_one(path: Path, readouts: list[ismrmrd.Acquisition], count: int) -> None:
    """In chunks of one readout, its samples beside it."""
    with h5py.File(path, "w") as file:
        rows = rows_in(file, count, 1)
        for number in range(count):
            rows[number] = records(readouts[number % DIFFERENT :][:1])[0]


def at_once(path: Path, readouts: list[ismrmrd.Acquisition], count: int) -> None:
    """All samples, and then all heads."""
    with h5py.File(path, "w") as file:
        rows = rows_in(file, count, 32)
        rows[:] = records([readouts[number % DIFFERENT] for number in range(count)])


def echo_by_echo(path: Path, readouts: list[ismrmrd.Acquisition], count: int) -> None:
    """Readouts of a block lie in five places."""
    with h5py.File(path, "w") as file:
        rows = rows_in(file, count, 256)
        for echo in range(ECHOES):
            numbers = range(echo, count, ECHOES)
            rows[echo::ECHOES] = records([readouts[number % DIFFERENT] for number in numbers])


def rows_in(file: h5py.File, count: int, chunk: int) -> h5py.Dataset:
    file.create_dataset("dataset/xml", data=np.array([b"<header/>"], object), dtype=BYTES)
    shape = {"shape": (count,), "chunks": (chunk,), "maxshape": (None,)}
    return file["dataset"].create_dataset("data", dtype=acquisition_dtype, **shape)


def records(readouts: list[ismrmrd.Acquisition]) -> np.ndarray:
    made = np.empty(len(readouts), acquisition_dtype)
    for number, readout in enumerate(readouts):
        made["head"][number] = np.frombuffer(readout.getHead(), acquisition_dtype["head"])
        made["data"][number] = readout.data.view(np.float32).ravel()
        made["traj"][number] = np.empty(0, np.float32)
    return made


def ours(path: Path) -> tuple[float, float]:
    with RawFile(path) as raw:
        return of_all(lambda: (r.data.nbytes for block in raw.blocks() for r in block))


def of_dataset(path: Path) -> tuple[float, float]:
    with ismrmrd.Dataset(path, mode="r") as dataset:
        return of_all(lambda: (dataset.read_acquisition(i).data.nbytes for i in range(BY_DATASET)))


def of_file(path: Path) -> tuple[float, float]:
    with ismrmrd.File(path, "r") as file:
        whole = file["dataset"].acquisitions
        return of_all(lambda: (readout.data.nbytes for readout in whole[:]))


def plain(path: Path) -> tuple[float, float]:
    buffer = memoryview(bytearray(AT_ONCE))
    with path.open("rb", buffering=0) as file:
        return of_all(lambda: iter(lambda: file.readinto(buffer), 0))


def of_all(read: Callable[[], Iterable[int]]) -> tuple[float, float]:
    """MB/s of what is read, by the clock and by CPU time."""
    clock, cpu = time.perf_counter(), time.process_time()
    size = sum(read()) / 1e6
    return size / (time.perf_counter() - clock), size / (time.process_time() - cpu)


BYTES = h5py.special_dtype(vlen=bytes)
WRITTEN = {"one by one": one_by_one, "at once": at_once, "echo by echo": echo_by_echo}
READ = (ours, of_dataset, of_file, plain)

if __name__ == "__main__":
    main()
