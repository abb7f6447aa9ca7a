"""Heads of many subjects: the nuclei of each side with values of their own, each lying its own way.

Labels and chain are those that accuracy is measured on; at 2 mm, so that a subject takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import scipy.ndimage
from scipy.spatial.transform import Rotation

from gadgetron_qsm.contrasts import Contrasts
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.measure.labels import SIDES, LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan as Measured
from gadgetron_qsm.phantom import labels, tissue
from gadgetron_qsm.phantom.sampling import Grid, plan_grid
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import PPB_PER_PPM, Susceptibility, Volume, quantify
from tests.benchmarks.heads import (
    ECHO_TIMES_S,
    FIELD_T,
    MARGIN_MM,
    SNR,
    Head,
    around,
    of_voxels,
    seen,
    with_lesions,
)

VOXEL_MM = 2.0
NUCLEI = range(tissue.CAUDATE, tissue.WHITE)
FIRST_OF_SIDE = {"left": 20, "right": 30}  # the nuclei's labels are these and their own
BRAIN = (*tissue.BRAIN, *(first + n for first in FIRST_OF_SIDE.values() for n in NUCLEI))
SPREAD = 0.4  # of the table's value: how far chi and R2* of a nucleus are from it at most
TURN_DEG, SHIFT_MM = 6.0, 4.0  # at most, about and along each axis


@dataclass(frozen=True)
class Subject:
    """A head, where its nuclei are (more than half of a voxel), and what they truly hold.

    truth: chi by structure, ppb relative to the mean of the true chi over the brain.
    """

    head: Head
    geometry: Geometry
    labels: LabelMap
    truth: Mapping[Structure, float]


def subject(path: Path, seed: int, *, snr: float = SNR, still: bool = False) -> Subject:
    """Draw a subject of the labelled head; `still` has the table's values, and is not turned."""
    rng = np.random.default_rng([seed, 21])
    scan = Scan(
        voxel_size_mm=(VOXEL_MM,) * 3,
        field_strength_t=FIELD_T,
        echo_times_s=ECHO_TIMES_S,
        tr_s=0.05,
        tilt_deg=0.0,
        fine_per_voxel=round(VOXEL_MM),
        seed=seed,
    )
    drawn, grid = _drawn(path, scan, seed)
    tissues = dict(tissue.TISSUES) | _nuclei(rng, 0 if still else SPREAD)
    if not still:
        drawn = _turned(drawn, rng)
    head = seen(
        drawn,
        grid,
        scan,
        tissues=tissues,
        brain_labels=BRAIN,
        snr=snr,
        coarse_background=True,
    )
    return _with_truth(head, drawn, grid, tissues)


def _drawn(path: Path, scan: Scan, seed: int) -> tuple[np.ndarray, Grid]:
    labelled = labels.read_labels(path)
    grid = plan_grid(scan, labelled.fov_mm, labelled.voxel_size)
    drawn = with_lesions(labels.embed(labelled, grid), seed)
    middle = np.median(np.nonzero(np.isin(drawn, tissue.BRAIN))[2])
    left = np.arange(drawn.shape[2]) > middle  # x goes to the patient's left
    nucleus = np.isin(drawn, NUCLEI)
    first = np.where(left, FIRST_OF_SIDE["left"], FIRST_OF_SIDE["right"]).astype(np.uint8)
    return np.where(nucleus, drawn + first, drawn), grid


def _nuclei(rng: np.random.Generator, spread: float) -> dict[int, tissue.Tissue]:
    """Values of each nucleus of each side, about those of the table."""
    found = {}
    for first in FIRST_OF_SIDE.values():
        for nucleus in NUCLEI:
            known = tissue.TISSUES[nucleus]
            chi, rate = 1 + spread * rng.uniform(-1, 1, 2)
            found[first + nucleus] = replace(
                known, chi_ppm=known.chi_ppm * chi, r2star_hz=known.r2star_hz * rate
            )
    return found


def _turned(drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn and shift the head; what leaves the grid at its bottom goes on as it is there."""
    turn = Rotation.from_euler("zyx", rng.uniform(-TURN_DEG, TURN_DEG, 3), degrees=True).as_matrix()
    centre = np.array(drawn.shape) / 2
    offset = centre - turn @ centre + rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    return scipy.ndimage.affine_transform(drawn, turn, offset, order=0, mode="nearest")


def _with_truth(
    head: Head, drawn: np.ndarray, grid: Grid, tissues: Mapping[int, tissue.Tissue]
) -> Subject:
    parts = grid.factor[0]
    share = of_voxels(np.isin(drawn, BRAIN), parts)
    box = around(share >= 0.5, round(MARGIN_MM / grid.voxel_size[0]))
    within = drawn[tuple(slice(parts * side.start, parts * side.stop) for side in box)]
    values = np.zeros(head.brain.shape, np.uint8)
    truth = {}
    mean_ppm = head.chi[head.brain].mean(dtype=np.float64)
    for side in SIDES:
        for nucleus in NUCLEI:
            label = FIRST_OF_SIDE[side] + nucleus
            values[of_voxels(within == label, parts) > 0.5] = label
            structure = Structure(label, tissues[label].name, side)
            truth[structure] = 1000 * (tissues[label].chi_ppm - mean_ppm)
    axial = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    geometry = Geometry(head.brain.shape, head.voxel_size, (0.0, 0.0, 0.0), *axial)
    return Subject(head, geometry, LabelMap(values, tuple(truth)), truth)


@cache
def standard() -> Settings:
    """The settings of the preset 'standard'."""
    return Settings.from_properties({"preset": "standard"})


def quantified(
    head: Head, geometry: Geometry, echoes: np.ndarray | None = None
) -> tuple[Volume, Susceptibility]:
    """Run the chain's stages, preset 'standard', on a head's echoes or on others of it."""
    data = head.echoes if echoes is None else echoes
    images = Echoes(data, head.echo_times_s, head.larmor_hz, geometry)
    volume = Volume(images, np.abs(data), standard(), Journal())
    return volume, quantify(volume)


def measured(volume: Volume, found: Susceptibility, *others: str) -> Measured:
    """Return the maps as they are measured; `others` of MAKERS beside chi."""
    return Measured(
        chi=found.chi * PPB_PER_PPM,
        magnitude=volume.edges,
        mask=found.mask,
        geometry=found.geometry,
        others=dict(Contrasts(volume, found).made(others)),
    )
