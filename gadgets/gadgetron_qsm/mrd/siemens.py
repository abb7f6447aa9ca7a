"""Siemens raw data (.dat), converted by siemens_to_ismrmrd when that is installed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.raw import is_raw

PROGRAM = "siemens_to_ismrmrd"
SUFFIX = ".dat"
INSTALL = (
    f"needs {PROGRAM}, which is not installed: conda install -c ismrmrd {PROGRAM}, "
    "or build it from github.com/ismrmrd/siemens_to_ismrmrd"
)
LARGEST_ID, MOST_MEASUREMENTS = 10_000, 64  # of what software of VD and later writes at first
SPARE = 1.1  # times the size of what is converted: readouts have larger heads in ISMRMRD


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Give a raw file that can be read as it is: `path`, or what becomes of one of Siemens.

    The latter is in the temporary folder (TMPDIR) as long as the block. Raises as `converted`.
    """
    if not to_be_converted(path):
        yield path
        return
    with TemporaryDirectory(prefix="gadgetron-qsm-") as folder:
        yield converted(path, Path(folder))


def to_be_converted(path: Path) -> bool:
    """Tell whether a file is taken for one of Siemens: it ends as they do, and is no other."""
    return path.suffix.lower() == SUFFIX and path.is_file() and not is_raw(path)


def converter(path: Path) -> str:
    """Return the program for a file of Siemens; raise QsmError when it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise QsmError(f"{path.name} {INSTALL}")
    return program


def converted(path: Path, folder: Path) -> Path:
    """Convert a file of Siemens into `folder`, and return what came of it, ISMRMRD or MRD.

    Of several measurements in the file the last is taken, which is the scan: those before it are
    adjustments, one of noise among them, which is not used. Raises QsmError without the program,
    room, or a result; the program's last line says why.
    """
    program = converter(path)
    _require_room(path, folder)
    result = folder / f"{path.stem}.mrd"
    command = [program, *_options(program, path), "-f", str(path.absolute()), "-o", str(result)]
    done = _run(command)
    if done.returncode or not result.is_file() or not result.stat().st_size:
        said = done.stderr.replace(str(path.absolute()), path.name).split("\n")
        why = next((line.strip() for line in reversed(said) if line.strip()), "it wrote nothing")
        raise QsmError(f"{path.name} could not be converted by {PROGRAM}: {why}")
    return result


def _options(program: str, path: Path) -> list[str]:
    """Return which measurement is meant, and what this version of the program has to be told."""
    known = _run([program, "--help"]).stdout
    options = ["--skipSyncData"] if "--skipSyncData" in known else []  # of the pulse and the like
    with path.open("rb") as file:
        start = file.read(8)
    number, measurements = struct.unpack("<II", start) if len(start) == 8 else (0, 0)
    if number < LARGEST_ID and 0 < measurements <= MOST_MEASUREMENTS:
        return [*options, "-z", str(measurements)]
    return [*options, "--VB"] if "--VB" in known else options


def _require_room(path: Path, folder: Path) -> None:
    needed, free = SPARE * path.stat().st_size, shutil.disk_usage(folder).free
    if needed > free:
        raise QsmError(
            f"{path.name} needs {needed / 1e9:.3g} GB to be converted, and {folder.parent} has "
            f"{free / 1e9:.3g}; set TMPDIR to a folder with room"
        )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - no shell, and the program is the user's
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise QsmError(f"{PROGRAM} cannot be run: {error.strerror}") from error
