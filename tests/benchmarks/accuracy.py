"""How true every method is, on a head whose truth is known: tables.

Usage: python -m tests.benchmarks.accuracy [--voxel-mm MM] [--only SECTION ...] [LABELS.nii.gz]

Methods and their parameters are those of the packages' tables. Whatever a method's mask leaves
out of a region counts as measured at the reference.
  NRMSE XSIM HFEN   of chi on the brain less one voxel, then on its core, more than 6 mm inside
  slope RMSE        of the means of the deep nuclei, in ppb
  cover             part of the brain that is mapped
  s, pairs          time, and time in real FFT pairs of the head's grid, timed before and after
Sections: field (echoes to total field), dipole (true local field with noise to chi), background
(true total field to local field), total (true total field to chi), phase (echoes to chi), raw
(raw scans of 2 mm at 3 T through the chain, with lesions), real (a crop of a real brain at 7 T).
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from gadgetron_qsm import background, field, inversion
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.stage.choice import default
from tests.benchmarks import real, scans
from tests.benchmarks.heads import head
from tests.benchmarks.trial import Result, Trial

LABELS = Path("../shared/data/phantom/labels_1mm.nii.gz")
NAME_WIDTH = 26
CHI = (
    *("NRMSE", "XSIM", "HFEN"),
    *("cNRMSE", "cXSIM", "cHFEN"),
    *("slope", "RMSE", "cover"),
)


class Section(NamedTuple):
    """A table: what it shows, its columns, the issue's targets, names of the rows, a row."""

    title: str
    columns: tuple[str, ...]
    target: str
    names: Callable[[], Iterable[str]]
    run: Callable[[Trial, str], Result]
    scores: Callable[[Trial, Result], tuple[float, ...]]


def _pairs() -> list[str]:
    """Each background removal with the default inversion, the default one with each inversion."""
    b, i = default("background"), default("inversion")
    pairs = [f"{name}+{i}" for name in background.METHODS]
    return [*pairs, *(f"{b}+{name}" for name in inversion.METHODS if name != i)]


def _from_total() -> list[str]:
    return [*_pairs(), *inversion.SINGLE_STEP]


def _from_phase() -> list[str]:
    f, rest = default("field"), f"{default('background')}+{default('inversion')}"
    others = [f"{name}+{rest}" for name in field.METHODS]
    return [*others, *(f"{f}+{name}" for name in inversion.SINGLE_STEP)]


SECTIONS = {
    "field": Section(
        "echoes to total field (errors in ppb, voxels unwrapped wrongly in %)",
        ("RMS", "median", "wrong"),
        "",
        lambda: field.METHODS,
        lambda trial, name: trial.run(["field"], name, phase=trial.phase),
        Trial.total_scores,
    ),
    "dipole": Section(
        "true local field with noise, SNR 100, to chi",
        CHI,
        "the best NRMSE at most 15 %, slope 0.98 to 1.02; TKD, Tikhonov, TV in this order",
        lambda: inversion.METHODS,
        lambda trial, name: trial.run(["inversion"], name, localfield=trial.noisy_local_field),
        Trial.chi_scores,
    ),
    "background": Section(
        "true total field to local field, NRMSE on the brain less one voxel and further inside",
        ("1 voxel", "4 mm", "6 mm", "cover"),
        "the best at most 25 % beyond 4 mm, 18 % beyond 6 mm",
        lambda: background.METHODS,
        lambda trial, name: trial.run(["background"], name, totalfield=trial.head.total_field),
        Trial.local_scores,
    ),
    "total": Section(
        "true total field to chi",
        CHI,
        "at most 30 % on the core, 35 % on the brain less one voxel",
        _from_total,
        lambda trial, name: trial.run(
            ["background", "inversion"], name, totalfield=trial.head.total_field
        ),
        Trial.chi_scores,
    ),
    "phase": Section(
        "echoes to chi",
        CHI,
        "at most 33 % on the core, 38 % on the brain less one voxel",
        _from_phase,
        lambda trial, name: trial.run(
            ["field", "background", "inversion"], name, phase=trial.phase
        ),
        Trial.chi_scores,
    ),
}
CHAIN = {"raw": scans.report, "real": real.report}


def main() -> None:
    """Print the tables, rows as they are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--voxel-mm", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, *CHAIN], metavar="SECTION")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="rows that have one of them")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    wanted = given.only or [*SECTIONS, *CHAIN]
    if set(wanted) & set(SECTIONS):
        trial = _trial(given.labels, given.voxel_mm)
        for name in wanted:
            if name in SECTIONS:
                _print_section(SECTIONS[name], trial, set(given.methods or ()))
    for name in wanted:
        if name in CHAIN:
            CHAIN[name](given.labels)


def _trial(labels: Path, voxel_mm: float) -> Trial:
    start = time.perf_counter()
    trial = Trial(head(labels, voxel_mm=voxel_mm))
    seconds = time.perf_counter() - start
    z, y, x = trial.head.brain.shape
    print(
        f"head of {z} x {y} x {x} voxels, {voxel_mm:g} mm, made in {seconds:.0f} s; "
        f"one real FFT pair takes {1000 * trial.pair_s():.0f} ms"
    )
    return trial


def _print_section(section: Section, trial: Trial, methods: set[str]) -> None:
    print(f"\n{section.title}" + (f"\ntarget: {section.target}" if section.target else ""))
    headings = (*section.columns, "s", "pairs")
    print(" " * NAME_WIDTH + "".join(f"{heading:>8}" for heading in headings))
    for name in section.names():
        if not methods or methods & set(name.split("+")):
            print(f"{name:{NAME_WIDTH}}{_row(section, trial, name)}", flush=True)


def _row(section: Section, trial: Trial, name: str) -> str:
    try:
        result = section.run(trial, name)
    except (QsmError, ValueError, TypeError, ArithmeticError) as error:
        return f"  {type(error).__name__}: {error}"
    numbers = "".join(
        _number(heading, value)
        for heading, value in zip(section.columns, section.scores(trial, result), strict=True)
    )
    return f"{numbers}{result.seconds:8.1f}{result.pairs:8.0f}  {result.told}"


def _number(heading: str, value: float) -> str:
    fine = heading in ("slope", "cover", "XSIM", "cXSIM")
    return f"{value:8.3f}" if fine else f"{value:8.1f}"


if __name__ == "__main__":
    main()
