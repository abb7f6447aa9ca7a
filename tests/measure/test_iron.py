import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from gadgetron_qsm.measure.iron import USUAL_PPB, contrast, painting, refined_by_chi
from gadgetron_qsm.measure.names import parsed
from gadgetron_qsm.measure.resample import affine_of, matrix_of, resampled
from gadgetron_qsm.measure.scan import Scan
from tests.measure.head import grid, motion
from tests.measure.iron_head import LABELS, TEMPLATE, atlas, nuclei, scan

GRID = grid((5.0,) * 3)
NOTHING = sitk.Transform(3, sitk.sitkIdentity)
MOVED = motion((0, 0, 1), 2, (5, -3, 4))


def test_names_of_nuclei_are_those_that_an_atlas_is_read_with():
    assert {parsed(name)[0] for name in USUAL_PPB} == set(USUAL_PPB)


def test_the_atlas_is_painted_with_usual_iron_and_with_what_the_scan_has_elsewhere():
    seen = scan(GRID)
    shifted = np.where(seen.mask, seen.chi + 25, 0).astype(np.float32)
    painted = painting(atlas(), Scan(shifted, seen.magnitude, seen.mask, GRID), NOTHING)
    iron = resampled(nuclei(LABELS), LABELS, TEMPLATE, nearest=True) > 0
    assert set(np.unique(painted[iron])) == {USUAL_PPB["putamen"]}
    plain = (atlas().template > 0) & ~iron
    assert np.median(painted[plain]) == pytest.approx(25, abs=3)


@pytest.mark.parametrize("iron_ppb", [30.0, 150.0])
def test_chi_brings_nuclei_nearer_whatever_their_iron_is(iron_ppb):
    seen = scan(GRID, MOVED, iron_ppb=iron_ppb)
    found = refined_by_chi(atlas(), seen, NOTHING)
    truth = nuclei(GRID, MOVED) > 0

    def dice(transform):
        labels = resampled(nuclei(LABELS), LABELS, GRID, transform=transform, nearest=True) > 0
        return 2 * (labels & truth).sum() / (labels.sum() + truth.sum())

    assert dice(found) > dice(NOTHING) + 0.1
    assert dice(found) > 0.75
    assert contrast(atlas(), seen, found) > contrast(atlas(), seen, NOTHING) + 0.1


@pytest.mark.parametrize("start", [NOTHING, affine_of(MOVED)])
def test_an_atlas_without_known_iron_stays_where_it_was(start):
    found = refined_by_chi(atlas(name="hippocampus"), scan(GRID), start)
    np.testing.assert_array_equal(matrix_of(found), matrix_of(start))
    assert contrast(atlas(name="hippocampus"), scan(GRID), start) is None


def test_nuclei_outside_of_the_scan_move_nothing():
    away = affine_of(motion((0, 0, 1), 0, (500, 0, 0)))
    np.testing.assert_array_equal(
        matrix_of(refined_by_chi(atlas(), scan(GRID), away)), matrix_of(away)
    )
