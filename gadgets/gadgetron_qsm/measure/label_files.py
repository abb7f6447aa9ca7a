"""Label maps on disk: numbers in a NIfTI file, and their names beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.name_tables import names_beside, read_names, stem, write_names
from gadgetron_qsm.nifti import read_volume, write_volume

log = logging.getLogger(__name__)

LARGEST = 2**31 - 1
SHOWN = 5  # names in a line


def read_labels(path: Path) -> tuple[LabelMap, Geometry]:
    """Read a NIfTI file of whole numbers, with the names (name_tables.py) that lie beside it.

    Of the file only what it names and what has a voxel is kept; a warning in the log tells the
    rest. Raises QsmError for a file without names, with other values, or with left on the right.
    """
    names = names_beside(path)
    values, geometry = read_volume(path)
    if names is None:
        raise QsmError(
            f"{path} has no names: put them beside it as {stem(path)}.json, "
            '{"1": "left putamen", ...}, or as a .csv with the columns value, name, side'
        )
    labels = kept(whole(values, path), read_names(names), path)
    check_sides(labels, geometry, path)
    return labels, geometry


def write_labels(path: Path, labels: LabelMap, geometry: Geometry) -> None:
    """Write a label map as NIfTI with its names beside it; `read_labels` reads both."""
    write_volume(path, labels.values, geometry)
    write_names(path.with_name(f"{stem(path)}.json"), labels.structures)


def whole(values: NDArray[Any], path: Path) -> NDArray[np.integer]:
    """Return values as integers. Raises QsmError when they are no numbers of structures."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise QsmError(f"{path} holds values that are not whole: it is no label map")
    if values.min() < 0 or values.max() > LARGEST:
        raise QsmError(f"{path} holds numbers below 0 or above {LARGEST}: it is no label map")
    return values.astype(np.uint16 if values.max() < 2**16 else np.int32)


def kept(values: NDArray[np.integer], structures: Sequence[Structure], path: Path) -> LabelMap:
    """Return the structures that have a voxel, and the numbers that have a name.

    Raises QsmError when none is left.
    """
    present = set(np.unique(values).tolist()) - {0}
    found = tuple(s for s in structures if s.value in present)
    if not found:
        raise QsmError(
            f"no number that is named for {path} is in it: are the names another file's?"
        )
    unnamed = sorted(present - {s.value for s in found})
    if unnamed:
        log.warning("numbers of %s without a name are left out: %s", path, _few(unnamed))
    empty = [s.label for s in structures if s.value not in present]
    if empty:
        log.warning("structures of %s without a voxel are left out: %s", path, _few(empty))
    named = np.isin(values, [s.value for s in found])
    return LabelMap(np.where(named, values, 0).astype(values.dtype), found)


def check_sides(labels: LabelMap, geometry: Geometry, path: Path) -> None:
    """Raise QsmError when a left structure lies on the patient's right of its counterpart."""
    for left, right in labels.pairs():
        if _across(labels, left, geometry) < _across(labels, right, geometry):
            raise QsmError(
                f"{path} has the {left.label} on the patient's right of the {right.label}: "
                "its names or its orientation are the wrong way round"
            )


def _across(labels: LabelMap, structure: Structure, geometry: Geometry) -> float:
    """How far to the patient's left a structure lies, mm."""
    z, y, x = (float(part.mean()) for part in np.nonzero(labels.mask(structure)))
    across: float = (geometry.affine @ [x, y, z, 1])[0]
    return across


def _few(given: Iterable[object]) -> str:
    told = [str(one) for one in given]
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more
