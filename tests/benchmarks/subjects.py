"""Regional chi of many subjects beside the truth, with the true regions and with placed ones.

python -m tests.benchmarks.subjects FOLDER [LABELS] [--subjects 20]

FOLDER keeps the maps of each subject, so that what was stopped goes on where it was. Each subject
is drawn and turned by its own seed, scanned at 2 mm, 7 T, SNR 100, and its chi made by the preset
'standard'. Truth is the chi that a nucleus was given, relative to the mean of the true chi over the
brain. The substantia nigra of the head is that with the subthalamic nucleus.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.regions import rows
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import read_volume, write_volume
from gadgetron_qsm.report.files import write_json
from tests.benchmarks.accuracy import LABELS
from tests.benchmarks.population import measured, quantified, subject

TARGET = 0.98  # of the correlation with the truth
MAPS = ("chi", "magnitude", "mask")


def main() -> None:
    """Scan the subjects that are left to scan, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--subjects", type=int, default=20)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    folders = [given.folder / str(seed) for seed in range(given.subjects)]
    for seed, folder in enumerate(folders):
        if not (folder / "truth.json").is_file():
            _scan(given.labels, seed, folder)
    _report(folders)


def _scan(labels: Path, seed: int, folder: Path) -> None:
    drawn = subject(labels, seed)
    start = time.perf_counter()
    volume, found = quantified(drawn.head, drawn.geometry)
    seconds = time.perf_counter() - start
    scan = measured(volume, found)
    for name in MAPS:
        write_volume(folder / f"{name}.nii.gz", getattr(scan, name), drawn.geometry)
    write_volume(folder / "labels.nii.gz", drawn.labels.values, drawn.geometry)
    brain = drawn.head.brain
    true = 1000 * (drawn.head.chi - drawn.head.chi[brain].mean(dtype=float))
    structures = [
        {
            "value": structure.value,
            "name": structure.name,
            "side": structure.side,
            "given_ppb": given,
            "mean_ppb": true[drawn.labels.mask(structure) & brain].mean(dtype=float),
        }
        for structure, given in drawn.truth.items()
    ]
    write_json(folder / "truth.json", {"structures": structures, "seconds": seconds})
    print(f"subject {seed}: chi in {seconds:.1f} s", flush=True)


def _read(folder: Path) -> tuple[Scan, LabelMap, dict[str, float]]:
    """Return the maps of a subject, its true regions, and their true chi by label."""
    volumes = {}
    for name in (*MAPS, "labels"):
        volumes[name], geometry = read_volume(folder / f"{name}.nii.gz")
    told = json.loads((folder / "truth.json").read_text())["structures"]
    structures = [Structure(of["value"], of["name"], of["side"]) for of in told]
    labels = LabelMap(volumes["labels"], tuple(structures))
    scan = Scan(volumes["chi"], volumes["magnitude"], volumes["mask"] > 0, geometry)
    truth = {s.label: of["chi_ppb"] for s, of in zip(structures, told, strict=True)}
    return scan, labels, truth


def _report(folders: Sequence[Path]) -> None:
    means, medians = {}, {}
    for folder in folders:
        scan, labels, truth = _read(folder)
        for row in rows(scan, labels):
            if row.label in truth:
                means.setdefault(row.region, []).append((truth[row.label], row.found.mean))
                medians.setdefault(row.region, []).append((truth[row.label], row.found.median))
    _table(f"means over true regions, {len(folders)} subjects", means)
    _table(f"medians over true regions, {len(folders)} subjects", medians)


def _table(title: str, pairs: Mapping[str, list[tuple[float, float]]]) -> None:
    """Print bias, SD of the error, and how means go with the truth, of each nucleus and of all."""
    print(f"\n{title}\n{'ppb':24}{'true':>8}{'bias':>8}{'SD':>8}{'slope':>8}{'r':>8}")
    for name, of_nucleus in pairs.items():
        print(f"{name:24}" + _scores(np.array(of_nucleus)))
    every = np.concatenate([np.array(of_nucleus) for of_nucleus in pairs.values()])
    print(f"{'all':24}" + _scores(every) + f"   target of r: {TARGET}")


def _scores(pairs: np.ndarray) -> str:
    true, found = pairs.T
    off = found - true
    away = true - true.mean()
    slope = float(away @ found / (away @ away))
    correlation = float(np.corrcoef(true, found)[0, 1])
    return (
        f"{true.mean():8.1f}{off.mean():8.1f}{off.std(ddof=1):8.1f}{slope:8.3f}{correlation:8.4f}"
    )


if __name__ == "__main__":
    main()
