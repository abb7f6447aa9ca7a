"""The files of one scan, written into a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gadgetron_qsm.bids.files import files_of
from gadgetron_qsm.bids.kinds import NEEDED, needed
from gadgetron_qsm.bids.place import (
    DERIVATIVES,
    IMAGE,
    SIDECAR,
    VOXELS,
    Place,
    called,
    require_free,
    there,
)
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.nifti import write_volume
from gadgetron_qsm.report.files import write_json
from gadgetron_qsm.report.provenance import provenance
from gadgetron_qsm.settings import Settings


def write_scan(place: Place, maps: Sequence[Map], header: Header, settings: Settings) -> list[Path]:
    """Write a scan's maps, in place of those of an earlier time.

    They are those that a dataset has of every scan, and those of `maps` that settings choose to
    deliver, as far as kinds.py has a name for them. The repetitions of a scan are runs. Returns the
    images in the order they were written in; the susceptibility map is the last of a repetition.
    Raises QsmError when a map is lacking or a file cannot be written, and as `require_free`.
    """
    require_free(place, header)
    if lacking := set(NEEDED) - {volume.name for volume in maps}:
        raise QsmError(f"no BIDS files: the server sent no {', no '.join(sorted(lacking))}")
    before, written = set(there(place, header)), []
    _begin(place.root / DERIVATIVES)
    names = {*needed(header), *settings.deliver.maps}
    kept = [volume for volume in maps if volume.name in names]
    for number in sorted({volume.repetition for volume in kept}):
        group = [volume for volume in kept if volume.repetition == number]
        made = provenance(header, settings, group[-1].report, group[:1])
        for file in files_of(called(place, header, number), group, header, made):
            path = place.root / file.path
            image, sidecar = (path.with_name(path.name + end) for end in (IMAGE, SIDECAR))
            whose = {**place.whose, VOXELS: file.volume.digest}
            block = {**file.sidecar["QSM"], **whose}
            write_json(sidecar, {**file.sidecar, "QSM": block})  # first: it tells whose both are
            write_volume(image, file.data, file.volume.geometry, level=file.level)
            before -= {image, sidecar}
            written.append(image)
    _remove(before)
    return written


def _begin(folder: Path) -> None:
    """Make the folder that tells whose a dataset is as long as nobody has described it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QsmError(f"cannot make {folder}: {error.strerror}") from error


def _remove(paths: set[Path]) -> None:
    """Remove images, then what tells whose they are."""
    try:
        for path in sorted(paths, key=lambda path: path.suffix == SIDECAR):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise QsmError(f"cannot remove {error.filename}: {error.strerror}") from error
