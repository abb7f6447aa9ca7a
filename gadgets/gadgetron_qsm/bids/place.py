"""Where a scan's files go in a dataset, and whose the files are that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gadgetron_qsm.bids.kinds import ANAT, BESIDE_FIELDS, DERIVED, ECHOES, FMAP, ONE_ECHO
from gadgetron_qsm.bids.names import FORM, Entities
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header

DERIVATIVES = Path("derivatives", "gadgetron-qsm")
IMAGE, SIDECAR = ".nii.gz", ".json"
ENDING = r"\.(json|nii|nii\.gz)"
OF_ECHOES = rf"(_echo-\d+)?_part-(mag|phase)_({ECHOES}|{ONE_ECHO}){ENDING}"
SUFFIXES = "|".join(sorted({kind.suffix for kind in DERIVED.values()} | {BESIDE_FIELDS}))
OF_MAPS = rf"(_label-CSF|_desc-[a-z]+)?_({SUFFIXES}){ENDING}"


@dataclass(frozen=True)
class Place:
    """Where a scan's files go: a dataset's root, and what the scan is called there.

    `source` is SHA-256 of the raw file: files of that name that were made of another one are not
    replaced. `settings` is the hash of the settings.
    """

    root: Path
    entities: Entities
    source: str
    settings: str = ""

    @property
    def made_of(self) -> dict[str, str]:
        """What the sidecars tell of the raw file and the settings."""
        return {"RawDataSHA256": self.source, "SettingsSHA256": self.settings}


def require_free(place: Place, header: Header) -> None:
    """Raise QsmError when the scan cannot have its files: they are another's, or cannot be named.

    Another's are those of another raw file, and those that gadgetron-qsm did not write.
    """
    if header.repetitions > 1 and place.entities.run:
        raise QsmError(
            f"{place.entities.stem} has {header.repetitions} repetitions, which are runs of their "
            f"own in BIDS; take run-{place.entities.run} out of its name"
        )
    for path in there(place, header):
        if _made_of(path).get("RawDataSHA256") != place.source:
            raise QsmError(
                f"{path.relative_to(place.root)} in {place.root} is not of this scan; rename the "
                f"scan {FORM}, or remove what is there of {place.entities.stem}"
            )


def holds(place: Place) -> bool:
    """Whether the dataset has the scan, made of this raw file with these settings."""
    stem, folder = place.entities.stem, place.root / DERIVATIVES / place.entities.folder / ANAT
    last = re.compile(rf"{re.escape(stem)}(_run-\d+)?_Chimap{re.escape(IMAGE)}")
    found = [path for path in _files(folder) if last.fullmatch(path.name)]
    return any(_made_of(path) == place.made_of for path in found)


def called(place: Place, header: Header, repetition: int) -> Entities:
    """Return what a repetition is called, which counts from 0: of several each is a run."""
    runs = header.repetitions > 1
    return replace(place.entities, run=str(repetition + 1)) if runs else place.entities


def there(place: Place, header: Header) -> Iterator[Path]:
    """Give the files with names that this scan's may have, whoever wrote them."""
    numbers = range(header.repetitions)
    stems = "|".join(re.escape(called(place, header, number).stem) for number in numbers)
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


def _made_of(path: Path) -> dict[str, str]:
    """What an image's sidecar, or a sidecar, tells as Place.made_of; nothing if it is not ours."""
    sidecar = path.with_name(path.name.split(".")[0] + SIDECAR)
    try:
        block = json.loads(sidecar.read_bytes())["QSM"]
        return {key: str(block[key]) for key in ("RawDataSHA256", "SettingsSHA256")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
