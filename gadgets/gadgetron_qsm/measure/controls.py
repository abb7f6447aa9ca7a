"""A site's own controls: what a region holds at an age, and how far a patient is from that.

The table is a CSV file with a header line; columns in any order, others are passed over:

| column | |
|---|---|
| region | a name as the atlas or `regions.csv` has it, without its side, or `whole brain` |
| side | left, right, or empty: both sides, and regions in the middle |
| map | chi, r2star, chi_positive or chi_negative; chi where empty, or without the column |
| age | in years, of controls of one age or the mean of a group; or |
| age_min, age_max | a band of ages in years, both ends in it; empty for an open end |
| mean, sd | of the controls' regional means, in ppb or 1/s; sd above 0 |
| n | number of controls, if known |

Means of chi depend on the reference region, field strength, voxel size and methods: a table is of
use for scans that are made as its controls were.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.labels import SIDES, Side
from gadgetron_qsm.measure.names import parsed
from gadgetron_qsm.measure.regions import CHI, UNITS, Row
from gadgetron_qsm.reference import WHOLE_BRAIN

NEEDED = ("region", "mean", "sd")
OLDEST = 130.0  # years; more is in other units
NEAREST_YEARS = 10.0  # that controls of one age may be away from the patient's


@dataclass(frozen=True)
class Control:
    """Mean and SD of controls between two ages (years), in a region, on a side or on both."""

    region: str
    side: Side | None
    map: str
    age_min: float
    age_max: float
    mean: float
    sd: float
    n: int | None = None

    def years_away(self, age: float) -> float:
        """How far an age is from these; 0 within them."""
        return max(self.age_min - age, age - self.age_max, 0.0)


@dataclass(frozen=True)
class ZScore:
    """How many SD of the controls a region's mean is above theirs."""

    row: Row
    control: Control

    @property
    def z(self) -> float:
        """The z-score."""
        return (self.row.found.mean - self.control.mean) / self.control.sd


def z_scores(rows: Sequence[Row], controls: Sequence[Control], age: float) -> list[ZScore]:
    """Compare each row that has controls with those of its age, in the order of the rows.

    Controls of the row's side are taken, or else those of both sides. Among them those whose ages
    have the patient's (years), of several the narrowest band; or else the nearest ones, up to
    NEAREST_YEARS away. Nothing is interpolated: whoever wants that writes more bands. Rows without
    such controls have no z-score.
    Raises QsmError for an age that is none.
    """
    if not 0 <= age <= OLDEST:
        raise QsmError(f"the patient's age is {age:g}; it must be 0 to {OLDEST:g} years")
    known: dict[tuple[str, Side | None, str], list[Control]] = {}
    for control in controls:
        known.setdefault((control.region, control.side, control.map), []).append(control)
    found = []
    for row in rows:
        for side in (row.side, None):
            nearest = _nearest(known.get((row.region, side, row.map), []), age)
            if nearest:
                found.append(ZScore(row, nearest))
                break
    return found


def _nearest(controls: Sequence[Control], age: float) -> Control | None:
    near = [control for control in controls if control.years_away(age) <= NEAREST_YEARS]
    return min(near, key=lambda c: (c.years_away(age), c.age_max - c.age_min), default=None)


def read_controls(path: Path, regions: Collection[str] | None = None) -> list[Control]:
    """Read the table; `regions` are the names that it may have beside the whole brain, None: any.

    Raises QsmError that names the line and what is wrong: a column that is missing, a number that
    is none, a region that is not known, an SD that is not above 0, the same ages twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            _check_columns(path, reader.fieldnames or ())
            known = None if regions is None else {WHOLE_BRAIN, *regions}
            return _read(path, reader, known)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise QsmError(f"cannot read the table of controls {path}: {error}") from error


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if "age" not in columns and not {"age_min", "age_max"} <= set(columns):
        missing.append("age (or age_min and age_max)")
    if missing:
        raise QsmError(
            f"{path} has no column {', '.join(missing)}; a table of controls needs "
            f"{', '.join(NEEDED)}, and age or age_min and age_max, in its first line"
        )


def _read(
    path: Path, reader: csv.DictReader[str], regions: Collection[str] | None
) -> list[Control]:
    found: dict[tuple[object, ...], Control] = {}
    for line in reader:
        try:
            control = _control(line, regions)
            key = (control.region, control.side, control.map, control.age_min, control.age_max)
            if key in found:
                raise QsmError("the same region, side, map and ages have a line already")
        except QsmError as error:
            raise QsmError(f"{path} line {reader.line_num}: {error}") from error
        found[key] = control
    if not found:
        raise QsmError(f"{path} has no line of controls below its header")
    return list(found.values())


def _control(line: Mapping[str, str | None], regions: Collection[str] | None) -> Control:
    if None in line:
        raise QsmError("there are more values than the first line has columns")
    given, given_side, of = (_text(line, column) for column in ("region", "side", "map"))
    region, of_name = parsed(given)
    side, of = given_side.lower(), of or CHI
    if regions is not None and region not in regions:
        raise QsmError(f"there is no region '{given}'; there are {', '.join(sorted(regions))}")
    if of_name:
        raise QsmError(f"region is '{given}'; its side goes into the column side")
    if side not in (*SIDES, ""):
        raise QsmError(f"side is '{given_side}'; it must be left, right or empty")
    if of not in UNITS:
        raise QsmError(f"map is '{of}'; it must be one of {', '.join(UNITS)}")
    youngest, oldest = _ages(line)
    sd = _number(line, "sd")
    if not sd > 0:
        raise QsmError(f"sd is {sd:g}; it must be above 0")
    n = _number(line, "n") if _text(line, "n") else None
    if n is not None and not (n >= 1 and n == int(n)):
        raise QsmError(f"n is {n:g}; it must be a whole number of controls")
    return Control(
        region=region,
        side=cast(Side, side) if side else None,
        map=of,
        age_min=youngest,
        age_max=oldest,
        mean=_number(line, "mean"),
        sd=sd,
        n=None if n is None else int(n),
    )


def _ages(line: Mapping[str, str | None]) -> tuple[float, float]:
    """Youngest and oldest age of a line."""
    if _text(line, "age") or "age_min" not in line:
        youngest = oldest = _number(line, "age")
    else:
        youngest = _number(line, "age_min") if _text(line, "age_min") else 0.0
        oldest = _number(line, "age_max") if _text(line, "age_max") else OLDEST
    if not 0 <= youngest <= oldest <= OLDEST:
        raise QsmError(
            f"ages are {youngest:g} to {oldest:g}; they must rise, between 0 and {OLDEST:g} years"
        )
    return youngest, oldest


def _text(line: Mapping[str, str | None], column: str) -> str:
    return (line.get(column) or "").strip()


def _number(line: Mapping[str, str | None], column: str) -> float:
    text = _text(line, column)
    try:
        number = float(text)
    except ValueError as error:
        raise QsmError(f"{column} is '{text}'; it must be a number") from error
    if not math.isfinite(number):
        raise QsmError(f"{column} is '{text}'; it must be a finite number")
    return number
