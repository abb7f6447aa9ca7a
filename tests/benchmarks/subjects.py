"""Regional chi of many subjects beside the truth, with the true regions and with placed ones.

python -m tests.benchmarks.subjects FOLDER [LABELS] [--subjects 20] [--atlas FOLDER]

FOLDER keeps the maps of each subject, so that what was stopped goes on where it was. Each subject
is drawn and turned by its own seed, scanned at 2 mm, 7 T, SNR 100, and its chi made by the preset
'standard'. Truth, relative to the mean of the true chi over the brain, is the chi that a nucleus
was given, or the mean of the true chi over the voxels that are more than half of it, whose other
part is of its surroundings. The substantia nigra of the head is that with the subthalamic nucleus;
thalamus and dentate nucleus are not in the atlas.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gadgetron_qsm.measure.atlas import Atlas, read_atlas
from gadgetron_qsm.measure.grids import divided
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.partial_volume import shares, unmixed
from gadgetron_qsm.measure.regions import rows
from gadgetron_qsm.measure.registration import laid, place
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import read_volume, write_volume
from gadgetron_qsm.report.files import write_json
from tests.benchmarks.accuracy import LABELS
from tests.benchmarks.population import measured, quantified, subject

ATLAS = Path("../shared/data/atlas")
TARGET = 0.98  # of the correlation with the truth
MAPS = ("chi", "magnitude", "mask")
PARTS = {  # structures of the atlas that are one in the head
    "globus pallidus externus": "globus pallidus",
    "globus pallidus internus": "globus pallidus",
    "substantia nigra pars compacta": "substantia nigra",
    "substantia nigra pars reticulata": "substantia nigra",
    "subthalamic nucleus": "substantia nigra",
}
PIECES = 2  # of a voxel along each side, in which the placed structures' borders run
REGIONS = {"labels": "true regions", "placed": "placed regions"}
TRUTH = {"given": "what the nucleus has", "mean": "mean of the true chi over the true region"}
WORK = {"truth": "chi", "placed": "placing regions"}


def main() -> None:
    """Scan the subjects that are left to scan, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--subjects", type=int, default=20)
    parser.add_argument("--atlas", type=Path, default=ATLAS)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    folders = [given.folder / str(seed) for seed in range(given.subjects)]
    for seed, folder in enumerate(folders):
        if not (folder / "truth.json").is_file():
            _scan(given.labels, seed, folder)
    if given.atlas.is_dir():
        atlas = read_atlas(given.atlas)
        for folder in folders:
            if not (folder / "placed.json").is_file():
                _place(atlas, folder)
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


def _place(atlas: Atlas, folder: Path) -> None:
    """Lay the atlas on a subject, and keep its structures under the numbers of the true ones."""
    scan, labels, _ = _read(folder, "labels")
    start = time.perf_counter()
    placed = place(atlas, scan)
    seconds = time.perf_counter() - start
    write_volume(folder / "placed.nii.gz", _as_true(placed.labels, labels), scan.geometry)
    grid = divided(scan.geometry, (PIECES,) * 3)
    fine = laid(atlas, grid, placed.transform)
    write_volume(folder / "finer.nii.gz", _as_true(fine, labels), grid)
    write_json(folder / "placed.json", {"seconds": seconds, "quality": placed.quality})
    print(f"subject {folder.name}: regions placed in {seconds:.1f} s", flush=True)


def _as_true(placed: LabelMap, labels: LabelMap) -> np.ndarray:
    """Return placed structures under the numbers of those of the head that they are."""
    values = np.zeros(placed.values.shape, np.uint8)
    for structure in labels.structures:
        for part in placed.structures:
            if (PARTS.get(part.name, part.name), part.side) == (structure.name, structure.side):
                values[placed.mask(part)] = structure.value
    return values


def _read(folder: Path, regions: str) -> tuple[Scan, LabelMap, dict[str, dict[str, Any]]]:
    """Return the maps of a subject, regions by the name of their file, and the truth by label."""
    volumes = {}
    for name in (*MAPS, regions):
        volumes[name], geometry = read_volume(folder / f"{name}.nii.gz")
    told = json.loads((folder / "truth.json").read_text())["structures"]
    structures = [Structure(of["value"], of["name"], of["side"]) for of in told]
    labels = LabelMap(volumes[regions], tuple(structures))
    scan = Scan(volumes["chi"], volumes["magnitude"], volumes["mask"] > 0, geometry)
    return scan, labels, {s.label: of for s, of in zip(structures, told, strict=True)}


def _report(folders: Sequence[Path]) -> None:
    for regions in ("labels", "placed"):
        if all((folder / f"{regions}.nii.gz").is_file() for folder in folders):
            for number, truth in (("mean", "given"), ("median", "given"), ("mean", "mean")):
                where = f"{number} over {REGIONS[regions]}"
                _table(folders, where, truth, partial(_numbers, regions, number))
    if all((folder / "finer.nii.gz").is_file() for folder in folders):
        _table(folders, "placed regions, unmixed", "given", _unmixed)
        _overlap(folders)
    for told in ("truth", "placed"):
        files = [file for folder in folders if (file := folder / f"{told}.json").is_file()]
        seconds = [json.loads(file.read_text())["seconds"] for file in files]
        if seconds:
            print(f"{WORK[told]}: {np.median(seconds):.1f} s a subject (median)")


def _numbers(regions: str, number: str, folder: Path) -> dict[str, float]:
    """Return the mean or median of chi by label."""
    scan, labels, _ = _read(folder, regions)
    return {row.label: getattr(row.found, number) for row in rows(scan, labels)}


def _unmixed(folder: Path) -> dict[str, float]:
    """Return the mean of chi by label, without what voxels hold of others."""
    scan, labels, _ = _read(folder, "labels")
    values, _ = read_volume(folder / "finer.nii.gz")
    filled = shares(LabelMap(values, labels.structures), PIECES)
    return {s.label: mean for s, mean in unmixed(scan.chi, filled, scan.mask).items()}


def _table(
    folders: Sequence[Path],
    title: str,
    truth: str,
    measure: Callable[[Path], dict[str, float]],
) -> None:
    """Print bias, SD of the error, and how means go with the truth, of each nucleus and of all."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for folder in folders:
        _, labels, true = _read(folder, "labels")
        found = measure(folder)
        for structure in labels.structures:
            if structure.label in found:
                pair = true[structure.label][f"{truth}_ppb"], found[structure.label]
                pairs.setdefault(structure.name, []).append(pair)
    print(f"\n{title}; truth: {TRUTH[truth]}; {len(folders)} subjects")
    print(f"{'ppb':24}{'true':>8}{'bias':>8}{'SD':>8}{'slope':>8}{'r':>8}")
    for name, of_nucleus in pairs.items():
        print(f"{name:24}" + _scores(np.array(of_nucleus)))
    every = np.concatenate([np.array(of_nucleus) for of_nucleus in pairs.values()])
    print(f"{'all':24}" + _scores(every) + f"   target of r: {TARGET}")


def _overlap(folders: Sequence[Path]) -> None:
    """Print the Dice coefficient of the placed and the true regions."""
    found: dict[str, list[float]] = {}
    for folder in folders:
        _, true, _ = _read(folder, "labels")
        _, placed, _ = _read(folder, "placed")
        for structure in true.structures:
            a, b = true.mask(structure), placed.mask(structure)
            if b.any():
                dice = 2 * (a & b).sum() / (a.sum() + b.sum())
                found.setdefault(structure.name, []).append(float(dice))
    for name, dice in found.items():
        print(f"Dice of {name:24}{np.mean(dice):.2f}, worst {min(dice):.2f}")


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
