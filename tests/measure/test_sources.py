"""Strong sources: what they are, where in the patient, how strong, and what is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.blooming import dephased_mm, without_bloom
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.source import Criteria
from gadgetron_qsm.measure.sources import microbleeds, strong_sources
from tests.analytic import ball, coordinates, distance, sphere_field

SHAPE, SIZE = (44, 52, 48), (1.2, 0.9, 1.0)
COS, SIN = np.cos(0.4), np.sin(0.4)
GEOMETRY = Geometry(SHAPE, SIZE, (11.0, -7.0, 30.0), (1, 0, 0), (0, COS, SIN), (0, -SIN, COS))
BRAIN = ball(SHAPE, SIZE, 20.0)
TISSUE_HZ, SOURCE_HZ = 18.0, 90.0
AT = (2.0, -5.0, 6.0)  # mm from the middle of the grid (z, y, x)
BLUR_MM = 0.5


def drawn(*things, noise=1.0, lossy=True):
    """A scan of a brain with (where, ppb) in it, blurred; they decay fast if `lossy`."""
    rng = np.random.default_rng(3)
    chi = rng.normal(14.0, noise, SHAPE)
    rate = np.full(SHAPE, TISSUE_HZ)
    for where, ppb in things:
        share = scipy.ndimage.gaussian_filter(where.astype(float), BLUR_MM / np.array(SIZE))
        chi += ppb * share
        rate += lossy * (SOURCE_HZ - TISSUE_HZ) * share
    return Scan(
        chi=np.where(BRAIN, chi, 0).astype(np.float32),
        magnitude=np.exp(-0.015 * rate).astype(np.float32),
        mask=BRAIN,
        geometry=GEOMETRY,
        others={"r2star": rate.astype(np.float32)},
    )


def sphere(diameter, at=AT):
    return ball(SHAPE, SIZE, diameter / 2, at)


def shell(inner, outer):
    return sphere(outer) & ~sphere(inner)


def lps(at):
    """Where a point (z, y, x) in mm from the middle of the grid lies in the patient."""
    directions = np.array([GEOMETRY.slice_dir, GEOMETRY.phase_dir, GEOMETRY.read_dir])
    return np.array(GEOMETRY.position) + at @ directions


def moment(where, ppb):
    return where.sum() * np.prod(SIZE) * ppb / 1000


@pytest.mark.parametrize(
    ("ppb", "sign", "kind"),
    [
        (900.0, "paramagnetic", "microbleed candidate"),
        (-1200.0, "diamagnetic", "calcification candidate"),
    ],
)
def test_a_source_has_its_sign_its_place_in_the_patient_and_its_moment(ppb, sign, kind):
    (found,) = strong_sources(drawn((sphere(5.0), ppb)))
    assert (found.sign, found.kind) == (sign, kind)
    np.testing.assert_allclose(found.centre_mm, lps(AT), atol=0.3)
    back = np.linalg.inv(GEOMETRY.affine) @ [*found.centre_mm, 1]
    np.testing.assert_allclose(back[2::-1], found.voxel, atol=0.5)
    assert found.total_ppm_mm3 == pytest.approx(moment(sphere(5.0), ppb), rel=0.06)
    assert found.peak_ppb == pytest.approx(ppb, rel=0.1)
    assert abs(found.mean_ppb) < abs(found.peak_ppb)
    assert found.diameter_mm == pytest.approx(5.0, abs=0.5)
    assert found.r2star == pytest.approx(SOURCE_HZ, rel=0.3)
    assert (found.support, found.measured, found.label) == (("r2star", "magnitude"), 1.0, None)


def test_thick_slices_leave_the_moment_and_the_shape():
    size, shape = (3.0, 1.0, 1.0), (15, 48, 44)
    at, fine = (1.0, 3.0, -4.0), (0.25, 0.25, 0.25)
    parts = ball((180, 192, 176), fine, 1.8, np.add(at, (-0.125, 0.375, 0.375)))
    share = parts.reshape(15, 12, 48, 4, 44, 4).mean(axis=(1, 3, 5)).astype(np.float32)
    geometry = Geometry(shape, size, (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    rate = TISSUE_HZ + 100 * share
    scan = Scan(900 * share, np.exp(-0.015 * rate), share >= 0, geometry, others={"r2star": rate})
    (found,) = strong_sources(scan)
    assert found.total_ppm_mm3 == pytest.approx(0.9 * 4 / 3 * np.pi * 1.8**3, rel=0.05)
    np.testing.assert_allclose(found.centre_mm, at[::-1], atol=0.4)
    assert found.elongation < 1.8


def test_blooming_moves_volume_and_peak_but_not_the_moment():
    where = sphere(4.0)
    wide = ball(SHAPE, SIZE, 2.9, AT)
    bloomed = wide * (where.sum() / wide.sum())
    sharp, large = (strong_sources(drawn((w, 900.0)))[0] for w in (where, bloomed))
    assert large.thresholded_mm3 > 1.8 * sharp.thresholded_mm3
    assert large.peak_ppb < 0.7 * sharp.peak_ppb
    assert large.total_ppm_mm3 == pytest.approx(sharp.total_ppm_mm3, rel=0.06)


def test_the_volume_is_corrected_by_what_the_moment_dephases():
    scan = drawn((sphere(5.0), 900.0))
    (seen,), (corrected,) = (strong_sources(scan, radians_per_ppm=p) for p in (None, 4.0))
    radius = dephased_mm(seen.total_ppm_mm3, 4.0, max(SIZE))
    assert corrected.volume_mm3 == pytest.approx(without_bloom(seen.volume_mm3, radius))
    assert corrected.volume_mm3 < seen.volume_mm3
    assert corrected.diameter_mm == seen.diameter_mm


def test_the_phase_turns_a_cycle_a_voxel_at_the_radius_that_is_dephased():
    radius_mm, voxel_mm, phase, step = 1.2, 1.1, 60.0, (0.1, 0.1, 0.1)
    total = 0.8 * 4 / 3 * np.pi * radius_mm**3
    r = dephased_mm(total, phase, voxel_mm)
    shape = (61, 61, 61)
    slopes = np.gradient(phase * 0.8 * sphere_field(shape, step, radius_mm, (1.0, 0.0, 0.0)), 0.1)
    at = coordinates(shape, step)
    along = (at * slopes).sum(axis=0)[shell := np.abs(distance(shape, step) - r) < 0.1]
    assert radius_mm + 0.3 < r < 2.8
    slope = np.sqrt(np.mean((along / distance(shape, step)[shell]) ** 2))
    assert slope * voxel_mm == pytest.approx(2 * np.pi, rel=0.05)


def test_a_ball_larger_than_what_it_dephases_keeps_its_volume():
    assert without_bloom(100.0, 0.3) == pytest.approx(100.0, rel=0.01)
    assert without_bloom(10.0, 50.0) == pytest.approx(1.0)


Z, Y, X = coordinates(SHAPE, SIZE)
TUBE = (np.hypot(Y, Z) < 1.5) & (np.abs(X) < 12)
ARC = (np.hypot(np.hypot(Y, X) - 9.0, Z) < 1.5) & (Y > -4)
TREE = TUBE | ((np.hypot(X, Z) < 1.5) & (Y**2 < 144)) | ((np.hypot(X, Y) < 1.5) & (Z**2 < 144))


@pytest.mark.parametrize("vein", [TUBE, ARC, TREE], ids=["straight", "bent", "branching"])
def test_a_vein_is_no_source_and_hides_none(vein):
    assert not strong_sources(drawn((vein, 900.0)))
    beside = (9.0, 6.0, 6.0)
    (bleed,) = strong_sources(drawn((vein, 300.0), (sphere(4.0, beside), 900.0)))
    np.testing.assert_allclose(bleed.centre_mm, lps(beside), atol=0.5)


def test_the_flank_of_a_source_is_no_other():
    assert len(strong_sources(drawn((sphere(5.0), 500.0), (sphere(7.5), 450.0)))) == 1


def test_a_source_is_measured_over_what_surrounds_it():
    (found,) = strong_sources(drawn((sphere(16.0), 120.0), (sphere(4.0), 900.0)))
    assert found.peak_ppb == pytest.approx(900.0, rel=0.06)
    assert found.total_ppm_mm3 == pytest.approx(moment(sphere(4.0), 900.0), rel=0.07)


def nucleus(diameter=9.0):
    where = sphere(diameter)
    return where, LabelMap(where.astype(np.int16), (Structure(1, "putamen", "left"),))


def test_a_nucleus_is_no_source_where_its_label_is_known():
    where, labels = nucleus()
    scan = drawn((where, 280.0))
    assert strong_sources(scan)
    assert not strong_sources(scan, labels=labels)
    beside = LabelMap(np.roll(labels.values, 2, axis=2), labels.structures)
    assert not strong_sources(scan, labels=beside)


def test_a_bleed_in_a_nucleus_is_one_and_names_it():
    where, labels = nucleus()
    (found,) = strong_sources(drawn((where, 150.0), (sphere(4.0), 900.0)), labels=labels)
    assert found.label == "left putamen"
    assert found.diameter_mm < 5.5


def test_what_else_is_strong_nearby_is_no_surroundings():
    found = strong_sources(drawn((sphere(3.4), 1200.0), (shell(7.5, 12.0), 700.0)))
    (inner,) = (one for one in found if one.diameter_mm < 5)
    assert inner.peak_ppb == pytest.approx(1200.0, rel=0.15)


@pytest.mark.parametrize("ppb", [900.0, -900.0])
def test_a_nucleus_full_of_blood_or_lime_is_one(ppb):
    where, labels = nucleus()
    (found,) = strong_sources(drawn((where, ppb)), labels=labels)
    assert np.sign(found.peak_ppb) == np.sign(ppb)


def test_the_shell_that_an_inversion_leaves_is_no_calcification():
    (found,) = strong_sources(drawn((sphere(5.0), 1200.0), (shell(6.0, 9.0), -400.0)))
    assert found.sign == "paramagnetic"


def test_a_calcification_beside_a_bleed_is_one():
    beside = sphere(4.0, (2.0, -5.0, -2.0))
    found = strong_sources(drawn((sphere(5.0), 1000.0), (beside, -900.0)))
    assert sorted(source.sign for source in found) == ["diamagnetic", "paramagnetic"]


def test_what_loses_no_signal_is_no_source():
    assert not strong_sources(drawn((sphere(5.0), 900.0), lossy=False))


def test_magnitude_alone_supports_where_there_is_no_r2star():
    scan = replace(drawn((sphere(5.0), 900.0)), others={})
    (found,) = strong_sources(scan)
    assert (found.support, found.r2star) == (("magnitude",), None)


def test_nothing_is_taken_at_the_edge_of_the_mask():
    assert not strong_sources(drawn((sphere(4.0, (0.0, 0.0, 19.5)), 900.0)))
    assert strong_sources(drawn((sphere(4.0, (0.0, 0.0, 14.0)), 900.0)))


def test_a_hole_of_the_mask_in_a_source_belongs_to_it():
    where = sphere(6.0)
    whole = drawn((where, 900.0))
    hole = ball(SHAPE, SIZE, 1.6, AT)
    scan = replace(whole, mask=BRAIN & ~hole, chi=np.where(hole, 0, whole.chi))
    (found,) = strong_sources(scan)
    np.testing.assert_allclose(found.centre_mm, lps(AT), atol=0.3)
    assert found.total_ppm_mm3 == pytest.approx(moment(where, 900.0), rel=0.1)
    inside = where.sum()
    assert found.measured == pytest.approx(1 - hole.sum() / inside, abs=0.06)


def test_a_large_bleed_is_a_haematoma_with_its_volume():
    where = ball(SHAPE, SIZE, 7.5) & (distance(SHAPE, SIZE, (0, 5.0, 5.0)) > 4.0)
    scan = drawn((where, 700.0), (sphere(4.0, (0, -2.0, -2.0)), 400.0))
    (found,) = strong_sources(scan, radians_per_ppm=4.0)
    assert found.kind == "haematoma candidate"
    assert found.volume_mm3 == pytest.approx(where.sum() * np.prod(SIZE), rel=0.06)


def test_microbleeds_are_counted_between_the_sizes_that_are_set():
    places = [(-8.0, 0.0, 0.0), (8.0, 0.0, 0.0), (0.0, 0.0, -10.0), (0.0, 10.0, 0.0)]
    diameters = [2.6, 4.0, 6.0, 4.0]
    values = [900.0, 900.0, 900.0, -900.0]
    scan = drawn(*((sphere(d, at), v) for d, at, v in zip(diameters, places, values, strict=True)))
    assert microbleeds(strong_sources(scan)) == 3
    assert microbleeds(strong_sources(scan, criteria=Criteria(smallest_mm=3.4))) == 2
    large = strong_sources(scan, criteria=Criteria(largest_mm=5.0))
    assert microbleeds(large) == 2
    assert sum(source.kind == "haematoma candidate" for source in large) == 1


def test_noise_alone_holds_no_source():
    scan = drawn(noise=80.0)
    assert np.abs(scan.chi[BRAIN] - 14).max() > Criteria().threshold_ppb
    loose = Criteria(rate_rise=0.0, smallest_mm=0.0, fullest=0.0, longest=99.0)
    assert not strong_sources(scan, criteria=loose)


def test_labels_of_another_grid_and_an_empty_mask_are_refused():
    labels = LabelMap(np.zeros((3, 3, 3), np.int16), ())
    with pytest.raises(ValueError, match=r"labels are \(3, 3, 3\), the scan \(44, 52, 48\)"):
        strong_sources(drawn(), labels=labels)
    with pytest.raises(ValueError, match="mask of the scan is empty"):
        strong_sources(replace(drawn(), mask=np.zeros(SHAPE, bool)))
