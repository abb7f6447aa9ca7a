"""Where a scan's files go in a dataset, and whose the files are that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gadgetron_qsm.bids.kinds import ANAT, BESIDE_FIELDS, DERIVED, ECHOES, FMAP, ONE_ECHO
from gadgetron_qsm.bids.names import FORM, Entities
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header

DERIVATIVES = Path("derivatives", "gadgetron-qsm")
SOURCE = "bids:raw:"  # before the path of an image of raw data
IMAGE, SIDECAR = ".nii.gz", ".json"
RAW_DATA, RAW_PATH = "RawDataSHA256", "RawPathSHA256"  # of what is in the file, and of where it is
VOXELS = "VoxelsSHA256"  # of the map in its own unit
ENDING = r"\.(json|nii|nii\.gz)"
OF_ECHOES = rf"(_echo-\d+)?_part-(mag|phase)_({ECHOES}|{ONE_ECHO}){ENDING}"
SUFFIXES = "|".join(sorted({kind.suffix for kind in DERIVED.values()} | {BESIDE_FIELDS}))
OF_MAPS = rf"(_label-CSF|_desc-[a-z]+)?_({SUFFIXES}){ENDING}"


@dataclass(frozen=True)
class Place:
    """Where a scan's files go: a dataset's root, and what the scan is called there.

    `source` is SHA-256 of the raw file and `path` that of its path, which the sidecars tell: files
    of that name that were made of other data of another place are not replaced.
    """

    root: Path
    entities: Entities
    source: str
    path: str = ""

    @property
    def whose(self) -> dict[str, str]:
        """What a sidecar tells of the raw file."""
        return {RAW_DATA: self.source, RAW_PATH: self.path}


def require_free(place: Place, header: Header) -> None:
    """Raise QsmError when the scan cannot have its files: they are another's, or cannot be named.

    Another's are those of another raw file, by its content and its path, and those that
    gadgetron-qsm did not write.
    """
    if header.repetitions > 1 and place.entities.run:
        raise QsmError(
            f"{place.entities.stem} has {header.repetitions} repetitions, which are runs of their "
            f"own in BIDS; take run-{place.entities.run} out of its name"
        )
    for path in there(place, header):
        block = _block(path)
        if not any(value and block.get(key) == value for key, value in place.whose.items()):
            raise QsmError(
                f"{path.relative_to(place.root)} in {place.root} is not of this scan; rename the "
                f"scan {FORM}, or remove what is there of {place.entities.stem}"
            )


def holds(place: Place, maps: Mapping[str, str]) -> bool:
    """Whether the dataset has a scan, to its last file, and the echoes that this was made of.

    `maps` are the scan's replay.Replayed.maps.
    """
    found = {key.split()[1]: digest for key, digest in maps.items() if key.startswith("chi ")}
    for number, digest in found.items():
        entities = replace(place.entities, run=number) if len(found) > 1 else place.entities
        folder = place.root / DERIVATIVES / entities.folder / ANAT
        image = folder / f"{entities.stem}_{DERIVED['chi'].suffix}{IMAGE}"
        told = _block(image)
        if not image.is_file() or [told.get(RAW_DATA), told.get(VOXELS)] != [place.source, digest]:
            return False
        if not all((place.root / source).is_file() for source in _sources(image)):
            return False
    return bool(found)


def called(place: Place, header: Header, repetition: int) -> Entities:
    """Return what a repetition is called, which counts from 0: of several each is a run."""
    runs = header.repetitions > 1
    return replace(place.entities, run=str(repetition + 1)) if runs else place.entities


def there(place: Place, header: Header) -> Iterator[Path]:
    """Give the files with names that this scan's may have, whoever wrote them."""
    numbers = range(header.repetitions)
    stems = "|".join(called(place, header, number).stem for number in numbers)
    of_scan, root = place.entities.folder, place.root
    folders = {
        root / of_scan / ANAT: OF_ECHOES,
        root / DERIVATIVES / of_scan / ANAT: OF_MAPS,
        root / DERIVATIVES / of_scan / FMAP: OF_MAPS,
    }
    for folder, ours in folders.items():
        found = re.compile(f"({stems}){ours}")
        yield from (path for path in _files(folder) if found.fullmatch(path.name))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise QsmError(f"cannot look into {folder}: {error.strerror}") from error


def _block(path: Path) -> Mapping[str, Any]:
    """Return what our sidecar of an image, or one itself, tells; nothing when it is not ours."""
    block = _sidecar(path).get("QSM")
    return block if isinstance(block, dict) else {}


def _sources(path: Path) -> list[str]:
    """Return the images that one was made of, by their paths in the dataset."""
    return [str(uri).removeprefix(SOURCE) for uri in _sidecar(path).get("Sources") or ()]


def _sidecar(path: Path) -> Mapping[str, Any]:
    sidecar = path.with_name(path.name.split(".")[0] + SIDECAR)
    try:
        content = json.loads(sidecar.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
