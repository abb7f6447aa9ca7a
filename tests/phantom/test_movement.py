"""A head that moves between the lines of k-space."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Movement, Sampling, Scan, Slices
from gadgetron_qsm.phantom.movement import line_phases
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.shots import plan_shots

GRID = Grid((6, 8, 10), (1, 1, 1), (2.0, 3.0, 4.0))


def phases(shift_mm, period_s=None, **sampling):
    """Factors (repetition, kz, ky) of a plain scan."""
    movement = Movement(shift_mm, period_s)
    scan = Scan(
        voxel_size_mm=(2.0, 3.0, 4.0),
        tr_s=0.05,
        movement=movement,
        sampling=Sampling(**sampling),
    )
    return line_phases(scan, GRID, plan_shots(scan, GRID)).reshape(-1, 6, 8)


@pytest.mark.parametrize(("shift_mm", "voxels"), [((4.0, 0.0), (2, 0)), ((-2.0, 9.0), (-1, 3))])
def test_in_the_second_half_the_head_is_so_many_mm_further_on(shift_mm, voxels):
    before, after = phases(shift_mm, repetitions=2)
    np.testing.assert_array_equal(before, 1)
    image = np.random.default_rng(0).normal(size=(6, 8))
    lines = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image))) * after
    moved = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(lines)))
    expected = np.roll(image, voxels, axis=(0, 1))
    low = np.abs(np.fft.fft2(expected - moved.real))
    low[3], low[:, 4] = 0, 0  # the highest frequency of an even number has no sign
    assert low.max() < 1e-4


def test_a_period_is_there_and_back():
    factors = phases((0.0, 3.0), period_s=4 * 0.05)[0]
    steps = np.angle(factors) / (2 * np.pi * 3.0 / (8 * 3.0))
    ky = np.arange(8) - 4
    np.testing.assert_allclose(steps[2], -ky * [0, 1, 0, -1, 0, 1, 0, -1], atol=1e-5)


def test_a_head_that_lies_still_leaves_the_lines_as_they_are():
    np.testing.assert_array_equal(phases((0.0, 0.0)), 1)


def test_echoes_of_a_line_move_together(read_out, silent, plain):
    rows = read_out("moved", **silent)
    lines = {}
    for number in rows.image:
        kz, ky = rows.places[number]
        echo = rows.heads["idx"]["contrast"][number]
        true = plain.kspace[echo, :, kz, ky]
        lines[echo, kz, ky] = rows.samples[number].ravel() @ true.ravel().conj()
    turned = {place: np.angle(value) for place, value in lines.items()}
    for (_, kz, ky), angle in turned.items():
        assert angle == pytest.approx(turned[0, kz, ky], abs=1e-3)
        assert kz >= 14 or abs(angle) < 1e-3
    assert max(turned.values()) > 0.5


def test_movements_that_cannot_be_are_refused():
    with pytest.raises(QsmError, match="period of the movement"):
        Movement((0.0, 1.0), 0.0)
    with pytest.raises(QsmError, match="the shift of the simulated scan must be finite"):
        Movement((np.inf, 0.0))
    with pytest.raises(QsmError, match="the shift along z"):
        Scan(slices=Slices(), movement=Movement((1.0, 0.0)))
