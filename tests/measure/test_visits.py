from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure import visits
from gadgetron_qsm.measure.folder import Visit
from gadgetron_qsm.measure.visits import compare
from tests.measure.moved_head import ABOUT, GRID, NUCLEUS_PPB, motion, scan_of

RAISED_PPB = 30.0
STILL = np.eye(4)


def visit(name, matrix=STILL, raised=0.0, seed=0, day=None, **about):
    scan, labels = scan_of(matrix, raised, seed)
    acquired = None if day is None else f"2024-05-{day:02d}T08:00:00"
    return Visit(Path(name), scan, labels, {**ABOUT, "acquired": acquired, **about})


@pytest.fixture(scope="module")
def first():
    return visit("first", day=1, seed=1)


@pytest.fixture(scope="module")
def later():
    return visit("later", motion(), RAISED_PPB, day=20, seed=2)


@pytest.fixture(scope="module")
def comparison(first, later):
    return compare([later, first])


def by_label(interval):
    return {change.structure.label: change for change in interval.changes}


def test_visits_are_put_in_the_order_of_their_time(comparison):
    assert [visit.name for visit in comparison.visits] == ["first", "later"]


def test_what_was_raised_is_found_though_the_head_lies_otherwise(comparison):
    (interval,) = comparison.intervals
    assert interval.rigid.angle_deg == pytest.approx(8, abs=0.3)
    found = by_label(interval)["left putamen"]
    assert found.change_ppb == pytest.approx(RAISED_PPB, abs=3)
    assert found.later_ppb - found.first_ppb == pytest.approx(found.change_ppb)
    assert found.changed


def test_what_was_not_raised_did_not_change(comparison):
    (interval,) = comparison.intervals
    for label, found in by_label(interval).items():
        if label != "left putamen":
            assert found.changed is False
            assert abs(found.change_ppb) < 3
    assert abs(interval.reference_ppb) < 0.5


def test_less_iron_is_less(first):
    less = visit("less", raised=-RAISED_PPB, seed=3)
    (interval,) = compare([first, less]).intervals
    assert by_label(interval)["left putamen"].change_ppb == pytest.approx(-RAISED_PPB, abs=3)


def test_the_first_value_is_the_mean_of_the_region(first, comparison):
    for change in comparison.intervals[0].changes:
        region = first.labels.mask(change.structure)
        assert change.first_ppb == pytest.approx(first.scan.chi[region].mean(), abs=1e-3)
        assert change.first_ppb > 0.7 * NUCLEUS_PPB


def drifted(first, drift):
    raised = visit("raised", raised=RAISED_PPB, seed=3)
    chi = np.where(raised.scan.mask, raised.scan.chi + drift, 0).astype(np.float32)
    (interval,) = compare([first, replace(raised, scan=replace(raised.scan, chi=chi))]).intervals
    return interval


@pytest.mark.parametrize("drift", [12.0, np.linspace(-10, 15, GRID.matrix[1])[:, None]])
def test_a_reference_that_shifted_and_a_drift_of_the_map_are_no_change(first, drift):
    interval = drifted(first, drift)
    for label, found in by_label(interval).items():
        truth = RAISED_PPB if label == "left putamen" else 0.0
        assert found.change_ppb == pytest.approx(truth, abs=4)
        assert found.changed == (truth > 0)


def test_how_much_the_reference_shifted_is_told(first):
    assert drifted(first, 12.0).reference_ppb == pytest.approx(12, abs=0.5)


def test_noise_that_the_rest_of_the_brain_does_not_show_still_counts(first):
    quiet = visit("quiet", seed=3)
    loud = replace(quiet.scan, noise=np.full_like(quiet.scan.chi, 400))
    change = compare([first, replace(quiet, scan=loud)]).intervals[0].changes[0]
    assert change.noise_ppb > 20
    assert change.uncertainty_ppb >= change.noise_ppb
    unknown = compare([first, replace(quiet, scan=replace(quiet.scan, noise=None))])
    assert unknown.intervals[0].changes[0].noise_ppb is None


def test_what_is_detectable_holds_for_visits_without_a_change(first):
    found = []
    for seed in range(3, 7):
        same = visit("same", seed=seed)
        found += compare([first, same]).intervals[0].changes
    assert not any(change.changed for change in found)
    beyond = np.abs([change.change_ppb / change.uncertainty_ppb for change in found])
    assert 0.5 < np.sqrt(np.mean(beyond**2)) < 1.5  # as often as a standard deviation says


def test_labels_of_the_whole_brain_leave_places_to_compare_with(first, later):
    values = np.where(first.labels.values > 0, first.labels.values, 9 * first.scan.mask)
    whole = replace(first, labels=replace(first.labels, values=values))
    for change in compare([whole, later]).intervals[0].changes:
        assert change.elsewhere_ppb is not None


def test_a_region_outside_the_maps_is_left_out_and_named(first, later):
    corner = first.labels.values.copy()
    corner[corner == 3] = 0
    corner[:2, :2, :2] = 3
    found = compare([replace(first, labels=replace(first.labels, values=corner)), later])
    assert "left thalamus" not in by_label(found.intervals[0])
    assert "not in the maps at later and before: left thalamus" in found.warnings


def test_regions_outside_the_maps_altogether_are_refused(first, later):
    corner = np.zeros_like(first.labels.values)
    corner[0, 0, 0] = 3
    outside = replace(first, labels=replace(first.labels, values=corner))
    refused("no region of first lies in its map", [outside, later])


def refused(told, given, **options):
    with pytest.raises(QsmError, match=told) as caught:
        compare(given, **options)
    assert "\n" not in str(caught.value)


def test_two_patients_are_refused_whatever_is_allowed(first, later):
    other = replace(later, about={**later.about, "patient": "c3d4"})
    refused("are of two patients", [first, other], allow_differences=True)


def test_an_unknown_patient_is_a_warning(first, later):
    other = replace(later, about={**later.about, "patient": None})
    assert "no patient is known of later" in " ".join(compare([first, other]).warnings)


def test_of_software_only_what_differs_is_told(first, later):
    newer = {"gadgetron-qsm": "0.2.0", "numpy": "2.0.0"}
    found = compare([first, replace(later, about={**later.about, "software": newer})])
    told = "the visits were measured with other software: gadgetron-qsm 0.1.0, then 0.2.0"
    assert told in found.warnings


def test_one_visit_twice_is_refused(first):
    refused("named twice", [first, first])
    refused("of one scan", [first, replace(first, folder=Path("copy"))])
    refused("nothing to compare", [first])


def test_a_first_visit_needs_regions(first, later):
    refused("has no regions", [replace(first, labels=None), later])


def test_differences_are_refused_or_listed(first, later):
    other = replace(later, about={**later.about, "reference": {"region": "CSF"}})
    told = "reference region: whole brain, then CSF"
    refused(f"{told}.*--allow-differences", [first, other])
    (interval,) = compare([first, other], allow_differences=True).intervals
    assert interval.differences == (told,)


def test_visits_without_a_time_stay_in_their_order(first, later):
    early = replace(first, about={**first.about, "acquired": None})
    found = compare([early, later])
    assert found.first is early
    assert "order in which they were named" in " ".join(found.warnings)


def test_coils_that_shade_the_head_otherwise_do_not_move_it(first, later):
    z, y, _ = np.indices(GRID.matrix)
    shading = np.exp((y - 22) / 18 - (z - 18) / 25)  # a factor of ten across the head
    scan = replace(later.scan, magnitude=(later.scan.magnitude * shading).astype(np.float32))
    (interval,) = compare([first, replace(later, scan=scan)]).intervals
    off = interval.rigid.matrix @ np.linalg.inv(motion())
    angle = np.rad2deg(np.arccos(np.clip((np.trace(off[:3, :3]) - 1) / 2, -1, 1)))
    assert angle < 0.5
    assert np.linalg.norm(off[:3, 3]) < 0.5


def test_heads_that_do_not_lie_on_each_other_are_refused(first, later, monkeypatch):
    monkeypatch.setattr(visits, "LEAST_QUALITY", 0.999)
    refused("does not lie on first", [first, later])
