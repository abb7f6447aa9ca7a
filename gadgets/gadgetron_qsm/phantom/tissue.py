"""What each label of a head is made of."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError

CAUDATE, PALLIDUS, PUTAMEN, RED_NUCLEUS, DENTATE, NIGRA, THALAMUS = range(1, 8)
WHITE, GREY, CSF, VEIN, CALCIFICATION, BONE, AIR, SOFT = range(8, 16)
BRAIN = range(CAUDATE, BONE)  # labels that count as brain
LARGEST_LABEL = 255
COLUMNS = ("label", "name", "chi_ppm", "proton_density", "r2star_hz")


@dataclass(frozen=True)
class Tissue:
    """One tissue: susceptibility relative to water, signal at TE = 0, R2* (1/s) at 3 T."""

    name: str
    chi_ppm: float
    proton_density: float
    r2star_hz: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.chi_ppm):
            raise QsmError("chi_ppm must be a finite number")
        for column in ("proton_density", "r2star_hz"):
            value = getattr(self, column)
            if not 0 <= value < math.inf:
                raise QsmError(f"{column} is {value:g}; it must be 0 or more")


# Susceptibilities: 2019 challenge head (Marques et al. 2021, doi:10.1002/mrm.28716).
# R2* at 3 T: rounded from Peters et al. 2007, doi:10.1016/j.mri.2007.02.014; bone hardly signals.
TISSUES: Mapping[int, Tissue] = {
    CAUDATE: Tissue("caudate nucleus", 0.044, 0.80, 24.0),
    PALLIDUS: Tissue("globus pallidus", 0.1305, 0.72, 40.0),
    PUTAMEN: Tissue("putamen", 0.038, 0.80, 28.0),
    RED_NUCLEUS: Tissue("red nucleus", 0.100, 0.75, 34.0),
    DENTATE: Tissue("dentate nucleus", 0.152, 0.76, 30.0),
    NIGRA: Tissue("substantia nigra", 0.111, 0.75, 36.0),
    THALAMUS: Tissue("thalamus", 0.02, 0.78, 21.0),
    WHITE: Tissue("white matter", -0.03, 0.70, 19.0),
    GREY: Tissue("grey matter", 0.02, 0.82, 15.5),
    CSF: Tissue("CSF", 0.019, 1.0, 3.0),
    VEIN: Tissue("vein", 0.19, 0.85, 45.0),
    CALCIFICATION: Tissue("calcification", -3.3, 0.3, 60.0),
    BONE: Tissue("bone", -2.1, 0.05, 250.0),
    AIR: Tissue("air", 9.2, 0.0, 0.0),
    SOFT: Tissue("soft tissue", 0.0, 0.70, 33.0),
}


def r2star_scale(field_strength_t: float) -> float:
    """Ratio of R2* at a field strength to that at 3 T: a constant plus a term linear in B0.

    A line through the grey and white matter of Peters et al. 2007 at 1.5, 3 and 7 T.
    """
    return 0.3 + 0.7 * field_strength_t / 3.0


def load_tissues(path: Path | None) -> Mapping[int, Tissue]:
    """Return the built-in table, with the rows of a CSV file in place of its own.

    Columns, in any order: label (0 to 255), name, chi_ppm (relative to water), proton_density
    (signal at TE = 0, any scale), r2star_hz (1/s at 3 T). Raises QsmError for an unusable table.
    """
    if path is None:
        return TISSUES
    own: dict[int, Tissue] = {}
    for line, row in _read_rows(path):
        try:
            label, tissue = _parse(row)
        except QsmError as error:
            raise QsmError(f"{path} line {line}: {error}") from error
        if label in own:
            raise QsmError(f"{path} line {line}: label {label} has a row already")
        own[label] = tissue
    return {**TISSUES, **own}


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and columns of each row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise QsmError(f"{path}: no column {', '.join(missing)}; need {', '.join(COLUMNS)}")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise QsmError(f"cannot read the value table {path}: {error}") from error


def _parse(row: Mapping[str, str]) -> tuple[int, Tissue]:
    if None in row.values():
        raise QsmError(f"a value is missing; need {', '.join(COLUMNS)}")
    label, *numbers = (_number(row, column) for column in COLUMNS if column != "name")
    if label not in range(LARGEST_LABEL + 1):
        raise QsmError(f"label {label:g} is not a whole number from 0 to {LARGEST_LABEL}")
    return int(label), Tissue(row["name"], *numbers)


def _number(row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError as error:
        raise QsmError(f"{column} is '{row[column]}'; it must be a number") from error


def lookup(tissues: Mapping[int, Tissue], column: str) -> NDArray[np.float32]:
    """Return the values (256,) of one column, to be indexed with an array of labels."""
    values = np.zeros(LARGEST_LABEL + 1, np.float32)
    for label, tissue in tissues.items():
        values[label] = getattr(tissue, column)
    return values
