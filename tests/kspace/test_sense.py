from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.coils.espirit import espirit
from gadgetron_qsm.kspace import sense as module
from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.kspace.sampling import calibration_region
from gadgetron_qsm.kspace.sense import encode, encode_adjoint, sense

COILS, ECHOES = 6, 2
SHAPES = [(12, 14, 3), (11, 13, 3), (1, 24, 5)]  # z, y, x
EXACT = {"iterations": 300, "tolerance": 1e-6, "regularisation": 0.0}


def noise(*shape, seed=0):
    real, imag = np.random.default_rng(seed).normal(scale=np.sqrt(0.5), size=(2, *shape))
    return (real + 1j * imag).astype(np.complex64)


def coil_maps(shape):
    """Sensitivities (coil, z, y, x) of unit norm, known in a disc alone."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) * (n > 1) for n in shape), indexing="ij")
    angles = 2 * np.pi * np.arange(COILS) / COILS
    maps = np.array(
        [np.exp(-((z - np.cos(a)) ** 2) - (y - np.sin(a)) ** 2 + 1j * (a + x)) for a in angles]
    )
    maps *= z**2 + y**2 < 0.8
    return (maps / np.maximum(np.linalg.norm(maps, axis=0), 1e-9)).astype(np.complex64)


def full_scan(shape):
    """Hybrid space (echo, coil, kz, ky, x) that the maps explain exactly, and the maps."""
    maps = coil_maps(shape)
    images = maps * noise(ECHOES, 1, *shape)
    return centred_fft(images, axes=[2, 3]), maps


def random_lines(shape, share, *echoes):
    return np.random.default_rng(3).random((*echoes, *shape[:2])) < share


def everything(shape):
    return np.ones(shape[:2], bool)


@pytest.mark.parametrize("shape", SHAPES)
def test_encoding_and_its_adjoint_agree_on_every_inner_product(shape):
    maps, image, lines = coil_maps(shape), noise(*shape), noise(COILS, *shape, seed=1)
    there = np.vdot(lines, encode(image, maps))
    back = np.vdot(encode_adjoint(lines.copy(), maps), image)
    assert there == pytest.approx(back, rel=1e-5)


@pytest.mark.parametrize("echoes", [(), (ECHOES,)], ids=["alike", "each echo its own"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_sensitivities_explain_comes_back_exactly(shape, echoes):
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.7, *echoes)
    hybrid = full * np.broadcast_to(came, (ECHOES, *shape[:2]))[:, None, ..., None]
    sense(hybrid, came, maps, wanted=everything(shape), **EXACT)
    np.testing.assert_allclose(hybrid, full, atol=2e-3)


def test_lines_that_came_stay_as_they_are_though_the_model_says_otherwise():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.7)
    hybrid = (full + noise(*full.shape)) * came[..., None]
    before = hybrid.copy()
    sense(hybrid, came, maps, wanted=everything(shape))
    np.testing.assert_array_equal(hybrid[:, :, came], before[:, :, came])


def test_lines_that_are_not_wanted_stay_0():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came, wanted = random_lines(shape, 0.5), everything(shape)
    wanted[:3] = False
    hybrid = full * came[..., None]
    sense(hybrid, came, maps, wanted=wanted)
    assert not hybrid[:, :, ~(came | wanted)].any()
    assert hybrid[:, :, ~came & wanted].all()


def test_what_stands_in_lines_that_did_not_come_does_not_count():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.6)
    clean, dirty = full * came[..., None], full + ~came[..., None]
    for hybrid in (clean, dirty):
        sense(hybrid, came, maps, wanted=everything(shape))
    np.testing.assert_allclose(dirty, clean, atol=1e-5)


def test_a_plane_without_signal_or_without_sensitivities_is_filled_with_nothing():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.6)
    hybrid = full * came[..., None]
    hybrid[..., 0] = 0
    maps[..., 1] = 0
    sense(hybrid, came, maps, wanted=everything(shape), regularisation=0.0)
    np.testing.assert_array_equal(hybrid[:, :, ~came, :2], 0)
    assert np.isfinite(hybrid).all()


@pytest.mark.parametrize("scale", [1e-8, 1e6])
def test_the_scale_of_the_data_does_not_matter(scale):
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.5)
    plain = full * came[..., None]
    scaled = np.complex64(scale) * plain
    for hybrid in (plain, scaled):
        sense(hybrid, came, maps, wanted=everything(shape))
    np.testing.assert_allclose(scaled / scale, plain, atol=1e-4)


def test_planes_give_the_same_whether_they_are_solved_together_or_one_by_one(monkeypatch):
    shape = SHAPES[1]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.5)
    together, apart = full * came[..., None], full * came[..., None]
    together[..., 0] *= 1e3  # needs as many iterations as the others all the same
    apart[..., 0] *= 1e3
    sense(together, came, maps, wanted=everything(shape))
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    sense(apart, came, maps, wanted=everything(shape))
    np.testing.assert_allclose(apart, together, rtol=1e-3, atol=1e-4)


def test_a_stronger_regularisation_predicts_less():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.5)
    energies = []
    for regularisation in (0.01, 0.1, 1.0):
        hybrid = full * came[..., None]
        sense(hybrid, came, maps, wanted=everything(shape), regularisation=regularisation)
        energies.append(np.linalg.norm(hybrid[:, :, ~came]))
    assert energies[0] > 1.1 * energies[1] > 1.3 * energies[2]


def test_iterations_stop_at_the_tolerance_and_the_residual_is_told():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.5)
    reached = [
        sense(full * came[..., None], came, maps, wanted=everything(shape), tolerance=tolerance)
        for tolerance in (1e-1, 1e-2, 1e-3)
    ]
    for convergence, tolerance in zip(reached, (1e-1, 1e-2, 1e-3), strict=True):
        assert 0.2 * tolerance < convergence.residual < tolerance
    assert 0 < reached[0].iterations < reached[1].iterations < reached[2].iterations


def test_as_many_iterations_as_unknowns_are_enough():
    shape = (1, 8, 1)
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.6)
    limits = {**EXACT, "iterations": 8}
    reached = sense(full * came[..., None], came, maps, wanted=everything(shape), **limits)
    assert reached.residual < 1e-5


def test_iterations_stop_at_their_limit_and_the_residual_is_told():
    shape = SHAPES[0]
    full, maps = full_scan(shape)
    came = random_lines(shape, 0.5)
    reached = sense(full * came[..., None], came, maps, wanted=everything(shape), iterations=2)
    assert reached.iterations == 2
    assert 1e-3 < reached.residual < 1


def test_lost_lines_of_a_noisy_scan_come_back_within_the_noise():
    shape = (40, 44, 3)
    z, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    image = 40 * (z**2 + y**2 < 0.6) * (1 + 0.3 * np.cos(9 * y) * np.sin(7 * z)) * np.exp(2j * z)
    full = centred_fft((coil_maps(shape) * image).astype(np.complex64)[None], axes=[2, 3])
    full = full + noise(*full.shape)
    centre = full[0, :, 12:28, 14:30]
    came = random_lines(shape, 0.9)
    came[12:28, 14:30] = True
    hybrid = full * came[..., None]
    sense(hybrid, came, espirit(centre, shape[:2], noise=1.0), wanted=everything(shape))
    error = hybrid[:, :, ~came] - full[:, :, ~came]  # with the noise, variance 1, of both
    assert (np.abs(error) ** 2).mean() < 1.5
    assert (np.abs(full[:, :, ~came]) ** 2).mean() > 5


def test_points_of_a_real_brain_that_were_left_out_are_predicted(shared_data):
    kspace = np.load(shared_data / "brain-8ch" / "cartesian_ksp.npy")[None, ..., None]
    sampled = kspace[0, 0, ..., 0] != 0  # one point in eight, each a line of this plane
    region = calibration_region(sampled)
    came = sampled & (np.random.default_rng(1).random(sampled.shape) > 0.05)
    came[region] = True
    left_out = sampled & ~came
    maps = espirit(np.ascontiguousarray(kspace[0][(slice(None), *region)]), sampled.shape)
    hybrid = kspace * came[..., None]
    sense(hybrid, came, maps, wanted=sampled)
    truth = kspace[:, :, left_out]
    assert np.linalg.norm(hybrid[:, :, left_out] - truth) < 0.45 * np.linalg.norm(truth)


@pytest.mark.parametrize(
    ("lines", "maps", "wanted", "said"),
    [
        ((4, 5), (2, 4, 5, 4), (4, 5), "sensitivities .* do not fit"),
        ((3, 4, 5), (2, 4, 5, 3), (4, 5), "do not fit the 1 echoes of 4 x 5 lines"),
        ((5, 4), (2, 4, 5, 3), (4, 5), "do not fit the 1 echoes of 4 x 5 lines"),
        ((4, 5), (2, 4, 5, 3), (5, 5), "do not fit the 1 echoes of 4 x 5 lines"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(lines, maps, wanted, said):
    hybrid = np.zeros((1, 2, 4, 5, 3), np.complex64)
    with pytest.raises(ValueError, match=said):
        sense(
            hybrid, np.ones(lines, bool), np.ones(maps, np.complex64), wanted=np.ones(wanted, bool)
        )
