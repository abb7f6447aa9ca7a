"""What every method that inverts a local field must do alike."""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np
import pytest

from gadgetron_qsm import inversion
from gadgetron_qsm.inversion.hdqsm import hdqsm
from gadgetron_qsm.inversion.medi import medi
from gadgetron_qsm.inversion.ndi import ndi
from gadgetron_qsm.inversion.nltv import nltv
from gadgetron_qsm.inversion.tikhonov import tikhonov
from gadgetron_qsm.inversion.tkd import tkd
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE, distance
from tests.inversion.sphere import FIELD, GRIDS, MASK, SHAPE, VOXEL, contrast, error, sphere_in

# With each the part of a sphere's contrast that may be lost, and the error of the map beside it:
# voxels cannot make the edge of a sphere, and filters leave more streaks than regularisation.
METHODS = {
    "tv": (tv, 0.08, 0.08),
    "hdqsm": (partial(hdqsm, outlier_ppm=0.02), 0.08, 0.08),
    "ndi": (partial(ndi, radians_per_ppm=25.0), 0.33, 0.13),
    "nltv": (partial(nltv, radians_per_ppm=10.0), 0.1, 0.09),
    "medi": (partial(medi, radians_per_ppm=10.0), 0.1, 0.09),
    "tikhonov": (tikhonov, 0.11, 0.12),
    "tkd": (tkd, 0.11, 0.12),
}
every = pytest.mark.parametrize(("method", "lost", "largest_error"), METHODS.values(), ids=METHODS)
each = pytest.mark.parametrize("method", [method for method, *_ in METHODS.values()], ids=METHODS)


def optional(method, *names):
    """Those of the optional arrays that a method takes."""
    return [name for name in names if name in inspect.signature(method).parameters]


@every
@pytest.mark.parametrize("true_chi", [0.1, -0.1])
@pytest.mark.parametrize(("shape", "voxel_size"), GRIDS)
def test_a_sphere_comes_back_with_its_sign_and_size(
    method, lost, largest_error, shape, voxel_size, true_chi
):
    assert largest_error < 1
    field, mask = sphere_in(shape, voxel_size, chi=true_chi)
    chi = method(field, mask, voxel_size, OBLIQUE)
    assert contrast(chi, distance(shape, voxel_size)) == pytest.approx(true_chi, rel=lost)


@every
@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_a_sphere_comes_back_for_any_b0(method, lost, largest_error, b0):
    assert lost < 1
    field, mask = sphere_in(SHAPE, VOXEL, b0)
    assert error(method(field, mask, VOXEL, b0)) < largest_error


@every
@pytest.mark.parametrize(
    "wrong",
    [(1.0, 0.0, 0.0), OBLIQUE[::-1], (0.8, 0.36, 0.48), (0.8, 0.48, -0.36)],
    ids=["along z", "axes reversed", "sign of y", "y and x swapped"],
)
def test_a_wrong_b0_gives_a_much_worse_sphere(method, lost, largest_error, wrong):
    assert lost < 1
    assert error(method(FIELD, MASK, VOXEL, wrong)) > 1.5 * largest_error


@each
def test_b0_up_or_down_is_the_same(method):
    down, up = (method(FIELD, MASK, VOXEL, tuple(s * b for b in OBLIQUE)) for s in (-1, 1))
    np.testing.assert_allclose(down, up, atol=1e-7)


@each
def test_chi_is_0_outside_the_mask_and_single_precision(method):
    chi = method(FIELD.astype(float), MASK, VOXEL, OBLIQUE)
    assert chi.dtype == np.float32
    assert chi.shape == SHAPE
    assert not chi[~MASK].any()
    assert chi[MASK].any()


@each
def test_what_is_outside_the_mask_has_no_say(method):
    inside = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    names = optional(method, "weight", "magnitude")
    broken, clean = (
        method(
            np.where(MASK, FIELD, outside), MASK, VOXEL, OBLIQUE,
            **{name: np.where(MASK, inside, outside) for name in names},
        )
        for outside in (np.nan, 0)
    )  # fmt: skip
    np.testing.assert_array_equal(broken, clean)


@each
def test_empty_space_around_the_mask_changes_nothing(method):
    wider = [np.pad(x, ((3, 0), (5, 2), (0, 9))) for x in (FIELD, MASK)]
    chi = method(*wider, VOXEL, OBLIQUE)[3:, 5:-2, :-9]
    np.testing.assert_allclose(chi, method(FIELD, MASK, VOXEL, OBLIQUE), atol=1e-7)


@each
def test_padding_keeps_the_dipole_from_wrapping(method):
    field, mask = FIELD[8:-8, 8:-8, 8:-8], MASK[8:-8, 8:-8, 8:-8]
    none, some, much = (
        method(field, mask, VOXEL, OBLIQUE, padding_mm=p) for p in (0.0, 20.0, 40.0)
    )
    assert (some - much).std() < 0.6 * (none - much).std()


@each
def test_it_is_the_same_on_a_device(method, device):
    noise = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
    names = optional(method, "weight", "magnitude")
    got = method(
        device(FIELD), device(MASK), VOXEL, OBLIQUE, **{name: device(noise) for name in names}
    )
    expected = method(FIELD, MASK, VOXEL, OBLIQUE, **dict.fromkeys(names, noise))
    np.testing.assert_allclose(got.get(), expected, atol=2e-6)


@each
def test_an_empty_mask_is_refused(method):
    with pytest.raises(ValueError, match="the mask is empty"):
        method(FIELD, np.zeros(SHAPE, bool), VOXEL, OBLIQUE)


@pytest.mark.parametrize("method", inversion.METHODS.values(), ids=inversion.METHODS)
def test_every_method_takes_local_field_mask_voxel_size_and_b0(method):
    parameters = list(inspect.signature(method).parameters.values())
    first = ["local_field", "mask", "voxel_size", "b0_direction"]
    assert [p.name for p in parameters[:4]] == first
    assert {p.kind.name for p in parameters[4:]} == {"KEYWORD_ONLY"}
