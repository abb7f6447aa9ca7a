from __future__ import annotations

import logging

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.stage import run_stage
from tests.analytic import OBLIQUE, ball, sphere_field
from tests.stage.subject import (
    CHI_PPM,
    FIELD,
    HZ_PER_PPM,
    INSIDE,
    MASK,
    PARAMS,
    SHAPE,
    SLOPE,
    SPHERE,
    TE_S,
    VOXEL_SIZE,
    changed,
    contrast_of,
    read,
    save,
)


def test_field_mapping_finds_the_field_in_ppm(subject, tmp_path):
    run_stage("field-mapping", subject("phase", "magnitude", "mask"), tmp_path)
    found, true = read(tmp_path, "totalfield")[MASK], (FIELD + SLOPE)[MASK]
    np.testing.assert_allclose(found - found.mean(), true - true.mean(), atol=2e-3)
    assert not read(tmp_path, "totalfield")[~MASK].any()


def test_field_mapping_without_a_mask_keeps_everything(subject, tmp_path):
    folder = subject("magnitude")
    phase = np.stack([2 * np.pi * HZ_PER_PPM * te * (FIELD + SLOPE) for te in TE_S])
    save(folder, "phase", np.angle(np.exp(1j * phase)))
    save(folder, "magnitude", np.ones_like(phase))
    run_stage("field-mapping", folder, tmp_path)
    found = read(tmp_path, "totalfield")
    assert np.ptp(found - FIELD - SLOPE) < 5e-3


def test_a_single_echo_may_be_a_volume(subject, tmp_path):
    folder = subject("mask")
    changed(folder, TE=TE_S[0])
    save(folder, "phase", np.float32(2 * np.pi * HZ_PER_PPM * TE_S[0]) * FIELD)
    save(folder, "magnitude", np.ones_like(FIELD))
    run_stage("field-mapping", folder, tmp_path)
    found = read(tmp_path, "totalfield")
    np.testing.assert_allclose(found[MASK], FIELD[MASK], atol=1e-3)
    assert not found[~MASK].any()


def test_bfr_leaves_the_field_of_the_sphere(subject, tmp_path):
    run_stage("bfr", subject("totalfield", "mask"), tmp_path)
    local = read(tmp_path, "localfield")
    off = local - FIELD
    assert off[INSIDE].std() < 0.4 * FIELD[INSIDE].std() < 0.5 * (FIELD + SLOPE)[INSIDE].std()
    assert not local[~MASK].any()


def test_dipole_finds_the_sphere_with_b0_along_x_y_z(subject, tmp_path):
    run_stage("dipole", subject("localfield", "mask"), tmp_path)
    chi = read(tmp_path, "chimap")
    assert contrast_of(chi) == pytest.approx(CHI_PPM, rel=0.15)
    assert chi[INSIDE & ~SPHERE].std() < 0.15 * CHI_PPM  # a sphere of voxels has steps


def test_chi_is_relative_to_its_mean_over_the_mask(subject, tmp_path):
    run_stage("dipole", subject("localfield", "mask"), tmp_path)
    assert read(tmp_path, "chimap")[MASK].mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("bfr+dipole", ("totalfield", "mask")),
        ("bfr+dipole", ("totalfield", "mask", "magnitude")),
        ("end-to-end", ("phase", "magnitude", "mask")),
    ],
)
def test_spans_find_the_sphere(subject, tmp_path, name, files):
    run_stage(name, subject(*files), tmp_path)
    assert contrast_of(read(tmp_path, "chimap")) == pytest.approx(CHI_PPM, rel=0.25)


def test_end_to_end_finds_its_mask_itself(subject, tmp_path):
    folder = subject("magnitude")
    phase = np.stack([2 * np.pi * HZ_PER_PPM * te * (FIELD + SLOPE) for te in TE_S])
    save(folder, "phase", np.angle(np.exp(1j * phase)))
    run_stage("end-to-end", folder, tmp_path)
    assert contrast_of(read(tmp_path, "chimap")) == pytest.approx(CHI_PPM, rel=0.25)


def test_chi_separation_writes_two_maps_of_how_much_of_each(subject, tmp_path):
    folder = subject("mask", "magnitude")
    centre = (-6.0, 4.0, 0.0)
    calcium = ball(SHAPE, VOXEL_SIZE, 4.0, centre)
    away = sphere_field(SHAPE, VOXEL_SIZE, 4.0, OBLIQUE, centre)
    save(folder, "localfield", FIELD - 0.4 * away)
    save(folder, "chimap", CHI_PPM * SPHERE - 0.4 * calcium)
    save(folder, "r2prime", 137 * (CHI_PPM * SPHERE + 0.4 * calcium))
    run_stage("chi-separation", folder, tmp_path)
    para, dia = read(tmp_path, "chi-para"), read(tmp_path, "chi-dia")
    assert min(para.min(), dia.min()) >= 0
    assert para[SPHERE].mean() > 0.5 * CHI_PPM > 4 * dia[SPHERE].mean()
    assert dia[calcium].mean() > 0.5 * 0.4 > 4 * para[calcium].mean()


def test_chi_separation_makes_what_is_not_given(subject, tmp_path):
    lines = run_stage("chi-separation", subject("totalfield", "mask", "magnitude"), tmp_path)
    steps = [line.partition(":")[0] for line in lines]
    assert steps[:3] == ["background", "inversion", "separation"]
    assert read(tmp_path, "chi-para")[SPHERE].mean() > 0.2 * CHI_PPM


def test_separation_takes_chi_relative_to_csf_where_it_makes_chi_itself(subject, tmp_path):
    folder = subject("localfield", "mask")
    ventricle = ball(SHAPE, VOXEL_SIZE, 5.0, (-6.0, 6.0, 2.0))
    times = np.reshape(TE_S, (-1, 1, 1, 1))
    rate = np.where(ventricle, 1.0, np.where(SPHERE, 200.0, 20.0))
    save(folder, "magnitude", 900 * np.exp(-times * rate) * MASK)
    run_stage("chi-separation", folder, tmp_path, "r2star_qsm")
    para, dia = read(tmp_path, "chi-para"), read(tmp_path, "chi-dia")
    inner = ball(SHAPE, VOXEL_SIZE, 3.0, (-6.0, 6.0, 2.0))
    assert (para - dia)[inner].mean() == pytest.approx(0, abs=0.02)  # +-0.02: a voxel layer more
    assert dia.min() == 0
    assert not np.signbit(dia).any()


def test_a_local_field_that_is_given_counts_up_to_the_edge_beside_a_total_field(subject, tmp_path):
    run_stage("chi-separation", subject("localfield", "mask", "magnitude"), tmp_path / "one")
    files = ("localfield", "mask", "magnitude", "totalfield")
    run_stage("chi-separation", subject(*files), tmp_path / "two")
    one, two = (read(tmp_path / of, "chi-para") for of in ("one", "two"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_the_unit_of_the_magnitude_is_of_no_matter(subject, tmp_path, scale):
    folder = subject("localfield", "mask", "magnitude")
    run_stage("dipole", folder, tmp_path / "one", "medi")
    magnitude = nibabel.load(folder / "magnitude.nii.gz").get_fdata().T
    save(folder, "magnitude", magnitude * scale)
    run_stage("dipole", folder, tmp_path / "other", "medi")
    one, other = (read(tmp_path / of, "chimap") for of in ("one", "other"))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_magnitude_below_0_counts_as_0_and_is_told(subject, tmp_path, caplog):
    folder = subject("localfield", "mask")
    save(folder, "magnitude", np.where(SPHERE, -3.0, 900.0) * MASK)
    changed(folder, TE=TE_S[0])
    with caplog.at_level(logging.WARNING):
        run_stage("dipole", folder, tmp_path)
    assert "magnitude.nii.gz has voxels below 0" in caplog.text
    assert np.isfinite(read(tmp_path, "chimap")).all()


def test_a_zero_rim_of_the_local_field_is_no_measurement(subject, tmp_path):
    folder = subject("localfield", "mask")
    save(folder, "localfield", np.where(ball(SHAPE, VOXEL_SIZE, 15.0), FIELD, 0))
    run_stage("dipole", folder, tmp_path)
    chi = read(tmp_path, "chimap")
    assert not chi[~ball(SHAPE, VOXEL_SIZE, 15.0)].any()
    assert contrast_of(chi) == pytest.approx(CHI_PPM, rel=0.2)


def test_any_length_of_the_direction_of_b0_will_do(subject, tmp_path):
    folder = subject("localfield", "mask")
    run_stage("dipole", folder, tmp_path / "unit")
    changed(folder, B0_dir=[2.5 * part for part in PARAMS["B0_dir"]])
    run_stage("dipole", folder, tmp_path / "long")
    unit, long = (read(tmp_path / of, "chimap") for of in ("unit", "long"))
    np.testing.assert_allclose(long, unit, atol=1e-4)


def test_another_voxel_size_in_the_file_is_told(subject, tmp_path, caplog):
    folder = subject("localfield", "mask")
    changed(folder, voxel_size=[1.2, 1.5, 2.1])
    with caplog.at_level(logging.WARNING):
        run_stage("dipole", folder, tmp_path)
    assert "voxel_size of params.json is used" in caplog.text
