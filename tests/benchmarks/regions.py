"""How well the nuclei of an atlas come to lie on a head, and what is refused: tables.

Usage: python -m tests.benchmarks.regions [--only NAME ...] [LABELS.nii.gz [ATLAS]]

The head is made and measured at 1 mm as `accuracy` does, with the chain's own mask and chi, B0
tilted by 20 degrees; every other row is seen from it by interpolation. Its nuclei are those of the
atlas itself, put into a head of the same space: nothing but its place has to be found, which
flatters. In the rows `bent` the head has another shape, moved by a smooth field of that standard
deviation along each axis before; that is what other people are like.
  Dice    of each nucleus, the worse of both sides: pallidum of both its parts, nigra with the
          subthalamic nucleus
  before  their mean by the affine map of the magnitude alone; `after` that of all steps
  s       processor time
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.alignment import aligned
from gadgetron_qsm.measure.atlas import Atlas, read_atlas
from gadgetron_qsm.measure.labels import SIDES
from gadgetron_qsm.measure.registration import WORKING_MM, place
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.scan_grid import coarse_scan
from gadgetron_qsm.phantom import tissue
from tests.benchmarks.accuracy import LABELS
from tests.benchmarks.poses import Posed, bent, measured, on_grid, slab

ATLAS = Path("../shared/data/atlas")
PARTS = {
    "caudate": (tissue.CAUDATE, ("caudate nucleus",)),
    "pallidum": (tissue.PALLIDUS, ("globus pallidus externus", "globus pallidus internus")),
    "putamen": (tissue.PUTAMEN, ("putamen",)),
    "red n.": (tissue.RED_NUCLEUS, ("red nucleus",)),
    "nigra": (
        tissue.NIGRA,
        (
            "substantia nigra pars compacta",
            "substantia nigra pars reticulata",
            "subthalamic nucleus",
        ),
    ),
}
ISOTROPIC = (2.0, 2.0, 2.0)
POSES: dict[str, Callable[[Posed], Posed]] = {
    "1 mm": lambda posed: posed,
    "2 mm": lambda posed: on_grid(posed, ISOTROPIC),
    "1 x 1 x 2 mm": lambda posed: on_grid(posed, (2.0, 1.0, 1.0)),
    "turned 10 deg": lambda posed: on_grid(posed, ISOTROPIC, 10.0),
    "slab of 60 mm": lambda posed: slab(on_grid(posed, ISOTROPIC), 60.0),
    "bent 1 mm": lambda posed: bent(on_grid(posed, ISOTROPIC), 1.0, 1),
    "bent 2 mm": lambda posed: bent(on_grid(posed, ISOTROPIC), 2.0, 2),
}


def main() -> None:
    """Print both tables, rows as they are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("atlas", nargs="?", type=Path, default=ATLAS)
    parser.add_argument("--only", nargs="+", choices=[*POSES, "refused"], metavar="NAME")
    given = parser.parse_args()
    wanted = given.only or [*POSES, "refused"]
    atlas, posed = read_atlas(given.atlas), measured(given.labels)
    print(f"{'':16}" + "".join(f"{name:>9}" for name in (*PARTS, "before", "after", "s")))
    for name, pose in POSES.items():
        if name in wanted:
            print_row(name, atlas, pose(posed))
    if "refused" in wanted:
        for name, wrong in _wrong(atlas, on_grid(posed, ISOTROPIC)):
            print(f"{name:20}{_told(*wrong)}", flush=True)


def print_row(name: str, atlas: Atlas, posed: Posed) -> None:
    """Print how well the nuclei lie, and what the product itself says of it."""
    start = time.process_time()
    placed = place(atlas, posed.scan)
    seconds = time.process_time() - start
    found = dices(atlas, placed.labels.values, posed)
    by_name = {part: min(found[part, side] for side in SIDES) for part in PARTS}
    before = float(np.mean(list(dices(atlas, _affine_alone(atlas, posed.scan), posed).values())))
    after = float(np.mean(list(found.values())))
    numbers = "".join(f"{value:9.2f}" for value in (*by_name.values(), before, after))
    print(f"{name:16}{numbers}{seconds:9.0f}", flush=True)
    print(" " * 16 + "  ".join(f"{k} {v:.2f}" for k, v in placed.quality.items()), flush=True)


def dices(atlas: Atlas, labels: np.ndarray, posed: Posed) -> dict[tuple[str, str], float]:
    """Dice coefficient of each nucleus and side."""
    found = {}
    for part, (label, names) in PARTS.items():
        for side in SIDES:
            own = [s.value for s in atlas.labels.structures if s.name in names and s.side == side]
            given = np.isin(labels, own)
            true = (posed.labels == label) & (posed.left == (side == "left"))
            found[part, side] = 2 * (given & true).sum() / max(given.sum() + true.sum(), 1)
    return found


def _affine_alone(atlas: Atlas, scan: Scan) -> np.ndarray:
    coarse = coarse_scan(scan, WORKING_MM)
    transform = aligned(coarse, atlas.template.astype(np.float32), atlas.geometry)
    return resampled(
        atlas.labels.values, atlas.labels_geometry, scan.geometry, transform=transform, nearest=True
    )


def _wrong(atlas: Atlas, posed: Posed) -> Iterator[tuple[str, tuple[Atlas, Scan]]]:
    """Give scans that no atlas belongs on, and an atlas that belongs on no scan."""
    scan, rng = posed.scan, np.random.default_rng(0)
    shape = scan.geometry.matrix
    yield "noise for magnitude", (atlas, replace(scan, magnitude=rng.random(shape, np.float32)))
    noise = rng.normal(0, 40, shape).astype(np.float32)
    yield "noise for chi", (atlas, replace(scan, chi=np.where(scan.mask, noise, 0)))
    for name, axis in (("upside down", 0), ("back to front", 1)):
        chi, magnitude, mask = (np.flip(m, axis) for m in (scan.chi, scan.magnitude, scan.mask))
        yield name, (atlas, replace(scan, chi=chi, magnitude=magnitude, mask=mask))
    other = np.where(atlas.template > 0, rng.permuted(atlas.template), 0)
    yield "atlas of noise", (replace(atlas, template=other), scan)
    ball = np.zeros_like(atlas.template)
    ball[60:100, 60:100, 60:100] = atlas.template[60:100, 60:100, 60:100]
    yield "atlas of a part", (replace(atlas, template=ball), scan)


def _told(atlas: Atlas, scan: Scan) -> str:
    try:
        placed = place(atlas, scan)
    except QsmError as error:
        return f"refused: {str(error).split(';')[0]}"
    return "NOT REFUSED: " + "  ".join(f"{k} {v:.2f}" for k, v in placed.quality.items())


if __name__ == "__main__":
    main()
