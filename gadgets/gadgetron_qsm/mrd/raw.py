"""Raw files of all kinds, told by what is in them."""

from __future__ import annotations

from pathlib import Path

import h5py

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.streams import RawStream, begins_stream
from gadgetron_qsm.mrd.version2 import MAGIC, RawVersion2

Raw = RawFile | RawStream | RawVersion2


def opened(path: str | Path) -> Raw:
    """Open a raw file, whatever its name: ISMRMRD (HDF5), an MRD stream, MRD version 2.

    What is given is a context manager with a name, a header_text, a length (of readouts), blocks,
    waveforms and images. Raises QsmError, with the file's name, when it cannot be read.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise QsmError(f"{path.name} is no file; 'gadgetron-qsm stream' reads from pipes")
    return (_kind(path) or RawFile)(path)  # which says what is wrong, if it is none


def is_raw(path: Path) -> bool:
    """Tell whether a file is of one of the kinds that can be opened."""
    return _kind(path) is not None


def _kind(path: Path) -> type[Raw] | None:
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError:
        return None
    if start == MAGIC:
        return RawVersion2
    if h5py.is_hdf5(path):  # a block of the user's may be before it
        return RawFile
    return RawStream if begins_stream(start) else None
