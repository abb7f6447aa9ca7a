from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.inversion.ss_tv import ss_tv
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE, ball, coordinates, distance, sphere_field
from tests.inversion.sphere import FIELD, GRIDS, MASK, SHAPE, VOXEL, R, contrast, error, sphere_in

CUBE = (np.abs(coordinates(SHAPE, VOXEL) + 0.5) < 5).all(axis=0)  # fills its grid if not padded
HOW = {"largest_radius_mm": 10.0}  # the mask is a small one
AIR, AIR_MM, AIR_PPM = (0.0, -27.0, 9.0), 8.0, -9.0  # in the corner of a grid larger than the mask


def outer_field(shape=SHAPE, voxel_size=VOXEL, b0=OBLIQUE):
    """Field of air beside the mask: fifty times that of the sphere inside."""
    return AIR_PPM * sphere_field(shape, voxel_size, AIR_MM, b0, AIR)


def solve(field, mask=MASK, voxel_size=VOXEL, b0=OBLIQUE, **how):
    return ss_tv(field, mask, voxel_size, b0, **{**HOW, **how})[0]


@pytest.mark.parametrize("true_chi", [0.1, -0.1])
@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
def test_a_sphere_under_a_strong_background_comes_back_with_its_sign_and_size(
    shape, voxel_size, true_chi
):
    field, mask = sphere_in(shape, voxel_size, chi=true_chi)
    chi = solve(field + outer_field(shape, voxel_size), mask, voxel_size)
    assert contrast(chi, distance(shape, voxel_size)) == pytest.approx(true_chi, rel=0.12)


@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_a_sphere_under_a_strong_background_comes_back_for_any_b0(b0):
    field = sphere_in(SHAPE, VOXEL, b0)[0]
    assert error(solve(field + outer_field(b0=b0), b0=b0)) < 0.12


def test_a_wrong_b0_gives_a_much_worse_sphere():
    assert error(solve(FIELD, b0=(0.8, 0.36, 0.48))) > 2 * error(solve(FIELD))


def test_air_beside_the_mask_changes_little_where_tv_alone_shows_it():
    with_air = FIELD + outer_field()
    assert (solve(with_air) - solve(FIELD))[MASK].std() < 0.01
    assert (tv(with_air, MASK, VOXEL, OBLIQUE) - tv(FIELD, MASK, VOXEL, OBLIQUE))[MASK].std() > 0.05


def test_fields_of_any_shim_and_any_bow_change_nothing():
    z, y, x = coordinates(SHAPE, VOXEL) / 20
    shim = 1 + 2 * z - y + x * y + 0.5 * (z**2 - x**2)
    bow = z**2 + y**2 + x**2
    got = solve(FIELD + 0.3 * (shim + bow))
    np.testing.assert_allclose(got, solve(FIELD), atol=2e-3)


def test_a_source_nearer_to_the_edge_than_any_sphere_is_seen():
    centre, chi = (0, 12, 0), 0.1  # 5 mm inside
    field = chi * sphere_field(SHAPE, VOXEL, 3, OBLIQUE, centre) * MASK
    near = distance(SHAPE, VOXEL, centre)
    got = solve(field + outer_field())
    assert 0.55 * chi < got[near < 2].mean() - got[MASK & (near > 5)].mean() < chi


def test_the_mask_comes_back_whole():
    chi, mask = ss_tv(FIELD, MASK, VOXEL, OBLIQUE, **HOW)
    np.testing.assert_array_equal(mask, MASK)
    assert chi.dtype == np.float32
    assert not chi[~MASK].any()


def test_a_field_of_no_weight_is_ignored():
    ruined = distance(SHAPE, VOXEL, (8, 8, 0)) < 2
    weight = np.where(distance(SHAPE, VOXEL, (8, 8, 0)) < 4, 0, 1).astype(np.float32)
    field = FIELD + 0.05 * ruined
    weighted = (solve(f, weight=weight) for f in (field, FIELD))
    plain = (solve(f) for f in (field, FIELD))
    changes = [np.abs(a - b).max() for a, b in (weighted, plain)]
    assert changes[0] < 0.2 * changes[1]


def test_a_few_wrong_turns_of_phase_do_little_harm():
    wrong = np.zeros(SHAPE, bool)
    places = np.random.default_rng(0).choice(np.flatnonzero(MASK), 20, replace=False)
    wrong.flat[places] = True
    strict, robust = (error(solve(FIELD + 0.8 * wrong, outlier_ppm=o)) for o in (10.0, 0.005))
    assert robust < 0.4 * strict


def test_a_strong_source_is_no_outlier():
    strict, robust = (contrast(solve(9 * FIELD, outlier_ppm=o)) for o in (10.0, 0.005))
    assert robust == pytest.approx(0.9, rel=0.15)
    assert robust == pytest.approx(strict, rel=0.05)


def test_edges_of_the_magnitude_lower_the_error_of_a_noisy_sphere():
    noise = 0.01 * np.random.default_rng(0).standard_normal(SHAPE)
    magnitude = np.where(R < 6, 0.5, 1).astype(np.float32)
    blind, seeing = (
        solve(FIELD + noise, magnitude=m, edge_share=0.05, regularisation=3e-4)
        for m in (None, magnitude)
    )
    assert error(seeing) < 0.9 * error(blind)


def test_more_regularisation_gives_less_total_variation():
    noisy = FIELD + 0.01 * np.random.default_rng(0).standard_normal(SHAPE)
    chis = [solve(noisy, regularisation=r) for r in (3e-6, 3e-5, 3e-4)]
    a, b, c = (sum(np.abs(np.diff(chi, axis=axis)).sum() for axis in range(3)) for chi in chis)
    assert a > 1.2 * b > 1.5 * c


def test_the_default_iterations_come_close_to_the_minimum():
    soon, late = (solve(FIELD, **how) for how in ({}, {"iterations": 100}))
    assert (soon - late)[MASK].std() < 0.1 * late[MASK].std()


def test_what_is_outside_the_mask_has_no_say():
    inside = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    broken, clean = (
        solve(
            np.where(MASK, FIELD, outside),
            weight=np.where(MASK, inside, outside),
            magnitude=np.where(MASK, inside, outside),
            iterations=4,
        )
        for outside in (np.nan, 0)
    )
    np.testing.assert_array_equal(broken, clean)


def test_a_mask_that_touches_the_border_of_the_grid_ends_there():
    half = (slice(20, None), slice(None), slice(None))
    chi = solve(FIELD[half], MASK[half], iterations=4)
    wider = np.pad(MASK[half], ((8, 0), (0, 0), (0, 0)))
    expected = solve(np.pad(FIELD[half], ((8, 0), (0, 0), (0, 0))), wider, iterations=4)[8:]
    np.testing.assert_allclose(chi, expected, atol=1e-6)


def test_it_is_the_same_on_a_device(device):
    weight = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    how = {**HOW, "iterations": 5}
    arrays = {"weight": weight, "magnitude": weight}
    chi, mask = ss_tv(
        device(FIELD), device(MASK), VOXEL, OBLIQUE, **how,
        **{name: device(x) for name, x in arrays.items()},
    )  # fmt: skip
    expected, _ = ss_tv(FIELD, MASK, VOXEL, OBLIQUE, **how, **arrays)
    np.testing.assert_allclose(chi.get(), expected, atol=2e-6)
    np.testing.assert_array_equal(mask.get(), MASK)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"mask": np.zeros(SHAPE, bool)}, "the mask is empty"),
        ({"mask": ball(SHAPE, VOXEL, 4)}, r"no sphere of 6 mm fits the mask"),
        ({"mask": CUBE, "padding_mm": 0.0}, r"no sphere of 6 mm fits the mask"),
        ({"weight": np.zeros(SHAPE, np.float32)}, "fits the mask around a voxel of any weight"),
        ({"regularisation": 0.0}, "regularisation is 0; it must be above 0"),
        ({"outlier_ppm": -1.0}, "outlier_ppm is -1; it must be above 0"),
        ({"smallest_radius_mm": 12.0}, "smallest radius 12 mm exceeds the largest, 10 mm"),
    ],
)
def test_what_cannot_be_solved_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        solve(FIELD, **how)


def test_thick_slices_get_spheres_of_two_slices():
    shape, voxel_size = (21, 34, 35), (4.0, 1.5, 1.5)
    mask = ball(shape, voxel_size, 22)
    field = 0.1 * sphere_field(shape, voxel_size, 9, OBLIQUE) * mask
    chi = solve(field, mask, voxel_size, smallest_radius_mm=3.0)
    r = distance(shape, voxel_size)
    assert chi[r < 6].mean() - chi[(r > 13) & (r < 20)].mean() == pytest.approx(0.1, rel=0.15)
