"""Which number of a label map is which structure: JSON or a table beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.labels import SIDES, Structure
from gadgetron_qsm.measure.names import parsed
from gadgetron_qsm.report.files import write_json

SUFFIXES = (".json", ".csv", ".tsv")
NUMBERS = ("value", "index")  # columns that may hold the number; BIDS has the second
NAME, SIDE = "name", "side"
NO_TABLE = (
    'must be JSON {"1": "left putamen", ...}, or a table (.csv; .tsv as in BIDS) with the columns '
    "value, name and perhaps side"
)


def names_beside(image: Path) -> Path | None:
    """Return the file of names of a NIfTI image: the same name with another ending, if it is there.

    Raises QsmError when there are several.
    """
    found = [p for suffix in SUFFIXES if (p := image.with_name(stem(image) + suffix)).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise QsmError(f"{image} has the names {names}; leave one of them")
    return found[0] if found else None


def stem(image: Path) -> str:
    """Return the name of a NIfTI file without its ending."""
    return image.name.removesuffix(".gz").removesuffix(".nii")


def read_names(path: Path) -> tuple[Structure, ...]:
    """Read the structures that a file names; the number 0 is that of the background.

    Sides are taken out of the names (names.py), unless a column says them. Raises QsmError for a
    file that is no such table, and for a number, or a structure and side, that is there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _of_json(text) if path.suffix == ".json" else _of_table(text, path.suffix)
        structures = tuple(found for row in rows if (found := _structure(*row)).value)
    except (OSError, ValueError, csv.Error) as error:
        raise QsmError(f"cannot read the names in {path}: {error}; it {NO_TABLE}") from error
    if not structures:
        raise QsmError(f"{path} names no structure; it {NO_TABLE}")
    for what, given in (
        ("number", [str(s.value) for s in structures]),
        ("structure", [s.label for s in structures]),
    ):
        twice = next((one for one in given if given.count(one) > 1), None)
        if twice:
            raise QsmError(f"{path} has the {what} {twice} twice; each must be there once")
    return structures


def write_names(path: Path, structures: Iterable[Structure]) -> None:
    """Write the structures as JSON that `read_names` reads. Raises QsmError when it cannot."""
    write_json(path, {str(structure.value): structure.label for structure in structures})


def is_names(path: Path) -> bool:
    """Whether a file beside an image names structures, and is no description of the image."""
    if path.suffix != ".json":
        return True
    try:
        _of_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return True


def _of_json(text: str) -> list[tuple[str, str, str]]:
    given = json.loads(text)
    if not isinstance(given, Mapping) or not all(isinstance(n, str) for n in given.values()):
        raise ValueError("no names by number")
    for number in given:
        int(number)
    return [(number, name, "") for number, name in given.items()]


def _of_table(text: str, suffix: str) -> list[tuple[str, str, str]]:
    delimiter = "\t" if suffix == ".tsv" else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    columns = reader.fieldnames or ()
    number = next((column for column in NUMBERS if column in columns), None)
    if number is None or NAME not in columns:
        raise ValueError(f"it has the columns {', '.join(columns) or 'of nothing'}")
    return [(row[number] or "", row[NAME] or "", row.get(SIDE) or "") for row in reader]


def _structure(number: str, given: str, side: str) -> Structure:
    value = int(number)
    name, own = parsed(given)
    if value < 0 or not name:
        raise ValueError(f"'{number}' named '{given}' is no structure")
    stated = side.strip().lower()
    if not stated:
        return Structure(value, name, own)
    stated = {"l": "left", "r": "right"}.get(stated, stated)
    if stated not in SIDES or (own and own != stated):
        raise ValueError(f"'{given}' has the side '{side}'; it must be left, right or empty")
    return Structure(value, name, stated)
