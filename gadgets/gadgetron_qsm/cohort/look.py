"""What a raw file is of, and what its replay needs, as far as its head tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gadgetron_qsm.check.files import first_of_image
from gadgetron_qsm.dicom.identity_rules import completed
from gadgetron_qsm.ingest.memory import needed_on_host
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.raw import opened
from gadgetron_qsm.mrd.siemens import converter, to_be_converted
from gadgetron_qsm.settings import Settings


@dataclass(frozen=True)
class Look:
    """Matrix is (z, y, x) without oversampling.

    `memory` is what the plan of a scan on the host is, in bytes; it and `coils` are None for
    images. Coils that settings compress by the energy that they keep may turn out to be fewer.
    """

    echoes: int
    matrix: tuple[int, int, int]
    coils: int | None
    memory: int | None


def look(raw: Path, settings: Settings) -> Look | None:
    """Read the header and the first readouts; raise QsmError when no map can come from it.

    A file of Siemens is not converted for it: None tells that it can be.
    """
    if to_be_converted(raw):
        converter(raw)
        return None
    with opened(raw) as file:
        header = completed(Header.parse(file.header_text), settings.identity)
        first = first_of_image(file, header)
    echoes, matrix = len(header.echo_times_s), header.native_volume[0]
    if first is None:
        return Look(echoes, matrix, None, None)
    coils = len(first.data)
    kept = min(coils, settings.kspace.virtual_coils or coils)
    return Look(echoes, matrix, coils, needed_on_host((echoes, kept, *matrix)))
