"""Points are restored exactly by any right kernel, whatever its lattice; a head nearly."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.kspace import grappa as module
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.kspace.sampling import calibration_region
from tests.kspace.hybrid import CENTRE, SHAPE, block, head, pattern, points

LATTICES = [
    Lattice(cell, shift)
    for cell in itertools.product((1, 2, 3, 4), (1, 2, 3))
    for shift in [(0, s) for s in range(cell[1])] + [(s, 0) for s in range(1, cell[0])]
    if cell != (1, 1)
]
EXACT = {"regularisation": 1e-7}


def fill(full, sampled, acceleration, *, wanted=None, **options):
    hybrid = full * sampled[:, :, None]
    wanted = np.ones_like(sampled) if wanted is None else wanted
    grappa(hybrid, sampled, wanted, acceleration, **options)
    return hybrid


def error(filled, full, lines=None):
    lines = slice(None) if lines is None else lines
    away = (filled - full)[:, :, lines]
    return float(np.linalg.norm(away) / np.linalg.norm(full[:, :, lines]))


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_every_lattice_restores_points_up_to_its_edges(lattice):
    full = points(SHAPE)
    filled = fill(full, pattern(lattice), lattice.cell, **EXACT)
    assert error(filled, full) < 1e-3


@pytest.mark.parametrize("shape", [(25, 31), (24, 31), (25, 30), (24, 30)])
@pytest.mark.parametrize(
    "lattice", [Lattice((2, 2), (0, 1), (1, 1)), Lattice((1, 3), (0, 0), (0, 1))]
)
def test_odd_and_even_sizes_are_alike(shape, lattice):
    full = points(shape)
    assert error(fill(full, pattern(lattice, shape), lattice.cell, **EXACT), full) < 1e-3


@pytest.mark.parametrize("acceleration", [2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 41), (40, 1)])
def test_a_scan_of_one_partition_or_line_is_restored(shape, acceleration):
    factors = tuple(acceleration if n > 1 else 1 for n in shape)
    full = points(shape, count=2)
    sampled = pattern(Lattice(factors), shape, (16, 16))
    assert error(fill(full, sampled, factors, **EXACT), full) < 1e-3


@pytest.mark.parametrize(
    ("lattice", "allowed"),
    [
        (Lattice((1, 2)), 0.02),
        (Lattice((2, 1)), 0.02),
        (Lattice((2, 2)), 0.03),
        (Lattice((2, 2), (0, 1)), 0.03),
        (Lattice((1, 3)), 0.08),
    ],
    ids=str,
)
def test_a_head_without_noise_is_restored_to_a_small_error(lattice, allowed):
    full = head()
    sampled = pattern(lattice, full.shape[2:4], (16, 16))
    assert error(fill(full, sampled, lattice.cell), full) < allowed


def test_an_ellipse_is_filled_inside_and_stays_empty_outside():
    full = head()
    nz, ny = full.shape[2:4]
    inside = np.hypot(*np.ix_(np.arange(-15, 15) / 15, np.arange(-18, 18) / 18)) <= 1
    sampled = pattern(Lattice((2, 2)), (nz, ny), (16, 16)) & inside
    filled = fill(full, sampled, (2, 2), wanted=inside)
    assert error(filled, full, inside) < 0.03
    assert not filled[:, :, ~inside].any()


def test_lines_on_the_lattice_that_were_lost_are_filled_too():
    full = points(SHAPE)
    sampled = pattern(Lattice((2, 2)))
    sampled[[2, 20], [4, 0]] = False
    assert error(fill(full, sampled, (2, 2), **EXACT), full) < 1e-3


def test_what_was_sampled_and_what_is_not_wanted_stay_as_they_are():
    full = head()
    sampled = pattern(Lattice((1, 2)), full.shape[2:4])
    wanted = np.ones_like(sampled)
    wanted[:, 32:] = False
    filled = fill(full, sampled, (1, 2), wanted=wanted)
    np.testing.assert_array_equal(filled[:, :, sampled], full[:, :, sampled])
    assert not filled[:, :, ~sampled & ~wanted].any()
    assert filled[:, :, ~sampled & wanted].all()


def test_nothing_is_left_out_and_nothing_is_done():
    full = points(SHAPE)
    hybrid, every = full.copy(), np.ones(SHAPE, bool)
    assert grappa(hybrid, every, every, (2, 2)) == []
    np.testing.assert_array_equal(hybrid, full)


def test_embedded_and_separate_calibration_agree():
    full = head()
    sampled = pattern(
        Lattice((2, 2)), full.shape[2:4], (15, 15)
    )  # centred; the lattice adds no line
    apart = full[(slice(None), slice(None), *calibration_region(sampled))]
    lattice = Lattice((2, 2)).lines(sampled.shape)
    separate = fill(full, lattice, (2, 2), calibration=apart)[:, :, ~sampled]
    np.testing.assert_allclose(separate, fill(full, sampled, (2, 2))[:, :, ~sampled], atol=1e-4)


def test_lines_beside_the_lattice_are_no_sources():
    full = head()
    shape = full.shape[2:4]
    apart = full[(slice(None), slice(None), *block(shape, (16, 16)))]
    sampled = pattern(Lattice((2, 2)), shape)
    spoilt = full * np.where(sampled & ~Lattice((2, 2)).lines(shape), 100, 1)[:, :, None]
    plain = fill(full, sampled, (2, 2), calibration=apart)
    filled = fill(spoilt, sampled, (2, 2), calibration=apart)
    np.testing.assert_allclose(filled[:, :, ~sampled], plain[:, :, ~sampled], atol=1e-5)


def test_echoes_with_weights_of_their_own_are_as_if_alone():
    full = head()
    sampled = pattern(Lattice((1, 2)), full.shape[2:4])
    both = fill(full, sampled, (1, 2), per_echo=True)
    for echo in (0, 1):
        alone = fill(full[echo : echo + 1], sampled, (1, 2))
        np.testing.assert_array_equal(both[echo], alone[0])


@pytest.mark.parametrize(("per_echo", "sets"), [(False, 1), (True, 2)])
def test_weights_come_once_or_for_each_echo(per_echo, sets):
    full, sampled = points(SHAPE, echoes=2), pattern(Lattice((1, 2)))
    hybrid = full * sampled[:, :, None]
    kernels = grappa(hybrid, sampled, np.ones_like(sampled), (1, 2), per_echo=per_echo)
    assert len(kernels) == sets


def test_a_phase_of_an_echo_is_kept():
    full = head()
    sampled = pattern(Lattice((2, 2)), full.shape[2:4], (16, 16))
    turn = np.exp(1j * np.array([0.7, -2])).astype(np.complex64)[:, None, None, None, None]
    expected = turn * fill(full, sampled, (2, 2))
    np.testing.assert_allclose(fill(turn * full, sampled, (2, 2)), expected, atol=1e-3)


def test_samples_along_x_without_signal_stay_empty():
    full = head()
    full[..., :3] = full[..., 7] = 0
    sampled = pattern(Lattice((2, 2)), full.shape[2:4], (16, 16))
    filled = fill(full, sampled, (2, 2))
    assert np.isfinite(filled).all()
    assert not filled[..., :3].any()
    assert error(filled, full) < 0.03


def test_many_threads_need_no_more_memory_than_their_budget(monkeypatch):
    full = points((64, 64), coils=6, echoes=2, samples=64)
    sampled = pattern(Lattice((2, 2)), (64, 64))
    expected = fill(full, sampled, (2, 2))
    monkeypatch.setattr(module, "COPIES", full.nbytes // 16)
    monkeypatch.setattr(module, "GATHERED", 2**10)
    tracemalloc.start()
    with scipy.fft.set_workers(8):
        filled = fill(full, sampled, (2, 2))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - full.nbytes < full.nbytes
    np.testing.assert_allclose(filled, expected, atol=1e-4)


def test_lines_are_filled_in_the_same_products_however_many_threads_there_are(monkeypatch):
    """BLAS rounds rows otherwise in a product of more of them (OpenBLAS for Haswell and Zen)."""
    rows, synthesise = [], module._synthesise
    monkeypatch.setattr(module, "GATHERED", 2**11)
    monkeypatch.setattr(
        module, "_synthesise", lambda *args: rows.append(args[1].shape) or synthesise(*args)
    )
    full, sampled = points((40, 40), samples=7), pattern(Lattice((2, 2)), (40, 40))
    products = []
    for workers, copies in ((1, 2**29), (3, 2**29), (3, 2**16)):
        rows.clear()
        monkeypatch.setattr(module, "COPIES", copies)  # few: fewer places along x at a time
        with scipy.fft.set_workers(workers):
            fill(full, sampled, (2, 2))
        products.append(set(rows))
    assert len(products[0]) > 1
    assert products[0] == products[1] == products[2]


def test_a_small_centre_leaves_less_than_half_of_the_error_of_zeros():
    full = head()
    sampled = pattern(Lattice((2, 2)), full.shape[2:4], (10, 10))
    missing = error(full * sampled[:, :, None], full)
    assert error(fill(full, sampled, (2, 2)), full) < 0.5 * missing


@pytest.mark.parametrize(
    ("lattice", "centre", "said"),
    [
        (Lattice((1, 2)), (2, 12), "2 partitions x 1[23] lines is too small .*; 3 x 7 are needed"),
        (Lattice((2, 2)), (12, 4), "; 7 x 7 are needed"),
        (Lattice((4, 3)), (8, 8), "; 13 x 10 are needed"),
    ],
)
def test_a_centre_that_is_too_small_is_refused_with_the_size_that_is_needed(lattice, centre, said):
    with pytest.raises(ValueError, match=said):
        fill(points(SHAPE), pattern(lattice, centre=centre), lattice.cell)


def test_lines_on_no_lattice_are_refused():
    sampled = pattern(Lattice((1, 1)))
    sampled &= np.random.default_rng(0).random(SHAPE) < 0.25
    sampled[block(SHAPE, CENTRE)] = True
    with pytest.raises(ValueError, match="lie on no lattice of 2 x 2"):
        fill(points(SHAPE), sampled, (2, 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda apart: apart[:, :2], "calibration of 2 coils x 3 samples does not fit"),
        (lambda apart: apart[..., :2], "calibration of 5 coils x 2 samples does not fit"),
        (lambda apart: 0 * apart, "calibration lines are empty"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(change, said):
    full, lines = points(SHAPE), Lattice((1, 2)).lines(SHAPE)
    with pytest.raises(ValueError, match=said):
        fill(full, lines, (1, 2), calibration=change(full[:, :, 6:20, 6:20]))


def test_weights_for_each_echo_need_a_calibration_of_each():
    full, lines = points(SHAPE, echoes=2), Lattice((1, 2)).lines(SHAPE)
    with pytest.raises(ValueError, match="1 echoes of calibration for 2 of the scan"):
        fill(full, lines, (1, 2), calibration=full[:1, :, 6:20, 6:20], per_echo=True)
