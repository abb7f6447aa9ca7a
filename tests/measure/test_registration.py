from dataclasses import replace

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.alignment import aligned
from gadgetron_qsm.measure.atlas import read_atlas
from gadgetron_qsm.measure.fit import fit
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.registration import place
from gadgetron_qsm.measure.resample import affine_of, resampled
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import read_volume
from tests.measure.head import grid, motion, signal
from tests.measure.iron_head import atlas, nuclei, scan

GRID = grid((5.0,) * 3)
# of the phantom's tissues: nuclei (1 to 7), white and grey matter, CSF
BRIGHTNESS = (0.8, 0.7, 0.8, 0.75, 0.75, 0.75, 0.78, 0.7, 0.85, 1.3)
TILTED = motion((1, 0.3, 0.2), 15, (5, -12, 20))
STRETCHED = TILTED @ np.diag([0.95, 1.05, 1.1, 1])
GRIDS = {
    "straight": GRID,
    "oblique": grid((4.0, 5.0, 5.0), turn=(15, -5, 8), position=(4, -10, 18)),
    "left-handed": grid((5.0,) * 3, turn=(0, 8, 0), left_handed=True, position=(5, -12, 20)),
}


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=list(GRIDS))
def test_structures_come_to_lie_where_they_are_each_on_its_side(geometry):
    placed = place(atlas(), scan(geometry, STRETCHED))
    truth = nuclei(geometry, STRETCHED)
    left, right = placed.labels.structures
    assert (left.side, right.side) == ("left", "right")
    assert dice(placed.labels.mask(left), truth == 1) > 0.8
    assert dice(placed.labels.mask(right), truth == 2) > 0.8
    assert placed.quality["contrast"] > 0.8
    assert placed.quality["smallest_jacobian"] > 0.5


@pytest.mark.parametrize("degrees", [-27, 27])
def test_an_atlas_finds_a_head_that_nods(shared_data, degrees):
    labels, own = read_volume(shared_data / "phantom" / "labels_1mm.nii.gz")
    geometry = grid((4.0,) * 3, position=own.position, fov=(232, 228, 196))
    back = affine_of(np.linalg.inv(motion((1, 0, 0), degrees, (0, 0, 0))))
    seen = resampled(labels, own, geometry, transform=back, nearest=True)
    mask = (seen > 0) & (seen <= len(BRIGHTNESS))
    magnitude = np.where(mask, np.array([0, *BRIGHTNESS])[np.where(mask, seen, 0)], 0)
    chi = np.zeros(geometry.matrix, np.float32)
    nodding = Scan(chi, magnitude.astype(np.float32), mask, geometry)
    found = read_atlas(shared_data / "atlas")
    transform = aligned(nodding, found.template.astype(np.float32), found.geometry)
    quality = fit(replace(found, labels=LabelMap(found.labels.values, ())), nodding, transform)
    assert quality["overlap"] > 0.9
    assert quality["explained"] > 0.45


def test_chi_moves_nuclei_that_the_magnitude_does_not_show():
    flat = scan(GRID)
    shifted = np.roll(flat.chi, 1, axis=1)  # by 5 mm, where the magnitude has nothing to show
    plain = np.where(flat.mask, signal(GRID) + 0.4 * (nuclei(GRID) > 0), 0).astype(np.float32)
    placed = place(atlas(), Scan(np.where(flat.mask, shifted, 0), plain, flat.mask, GRID))
    found = placed.labels.values > 0
    moved = dice(found, np.roll(nuclei(GRID), 1, axis=1) > 0)
    assert moved > 0.9
    assert moved > dice(found, nuclei(GRID) > 0) + 0.15


def test_the_same_scan_gives_the_same_labels_and_numbers():
    first, second = (place(atlas(), scan(GRID, TILTED)) for _ in range(2))
    np.testing.assert_array_equal(first.labels.values, second.labels.values)
    assert first.quality == second.quality


def test_a_slab_is_placed_and_has_what_lies_in_it():
    slab = grid((5.0,) * 3, fov=(70, 200, 160))
    placed = place(atlas(), scan(slab))
    assert dice(placed.labels.values > 0, nuclei(slab) > 0) > 0.75


def noise():
    return scan(GRID, magnitude=np.random.default_rng(3).random(GRID.matrix, np.float32))


def upside_down():
    right = scan(GRID)
    return Scan(right.chi[::-1], right.magnitude[::-1], right.mask[::-1], GRID)


def chi_of_noise():
    right = scan(GRID, iron_ppb=0)
    return Scan(right.chi, right.magnitude, right.mask, GRID)


def part_of_a_brain():
    right = scan(GRID)
    mask = right.mask.copy()
    mask[:, 16:] = mask[:, :, 10:] = False
    return Scan(np.where(mask, right.chi, 0), right.magnitude, mask, GRID)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (noise, "variance that the template explains is 0.0"),
        (upside_down, "it must be at"),
        (chi_of_noise, "it must be at"),
        (part_of_a_brain, "it must be at"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_number_and_what_to_do(wrong, told):
    with pytest.raises(QsmError, match=told) as refused:
        place(atlas(), wrong())
    assert "supply a label map" in str(refused.value)


@pytest.mark.parametrize(
    ("scan_of", "told"),
    [
        (lambda s: Scan(s.chi, s.magnitude, np.zeros_like(s.mask), GRID), "mask is empty"),
        (lambda s: Scan(s.chi, np.ones_like(s.magnitude), s.mask, GRID), "no contrast"),
    ],
)
def test_an_empty_scan_is_refused(scan_of, told):
    with pytest.raises(QsmError, match=told):
        place(atlas(), scan_of(scan(GRID)))
