"""A map as a DICOM series in a folder, without a scan around it."""

from __future__ import annotations

from pathlib import Path

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.files import save
from gadgetron_qsm.dicom.forms import objects
from gadgetron_qsm.mrd.header import Header


def write_series(volume: Map, header: Header, folder: Path, *, form: str = "classic") -> list[Path]:
    """Write a map to `folder/<number>_<description>/<instance>.dcm`; return the files in order.

    `form` is a key of FORMS. Raises what `objects` raises, and QsmError when a file cannot be
    written.
    """
    return [save(dataset, folder) for dataset in objects(volume, header, form)]
