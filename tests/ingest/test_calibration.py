from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.calibration import REACH, Calibration
from tests.raw_scan import random_complex


def sent(kz, ky, *, echoes=1, slice_number=0, calibration=None, without=None):
    """Lines (kz, ky) given as ranges, of one slice."""
    places = np.array(
        [(e, z, y) for e in range(echoes) for z in kz for y in ky if (z, y) != without]
    )
    lines = random_complex(len(places), 2, 5)
    calibration = calibration or Calibration()
    calibration.add(lines, tuple(places.T), np.full(len(places), slice_number))
    return calibration, lines


def test_nothing_gives_no_block():
    assert Calibration().block() is None


@pytest.mark.parametrize(
    ("kz", "ky", "size"),
    [
        (range(-2, 2), range(-3, 3), (4, 6)),
        (range(-2, 3), range(-3, 4), (5, 7)),
        (range(-2, 4), range(-3, 2), (5, 4)),
        (range(1), range(-3, 3), (1, 6)),
    ],
)
def test_the_block_lies_about_the_centre(kz, ky, size):
    calibration, lines = sent(kz, ky)
    block = calibration.block()
    assert block.shape == (1, 2, *size, 5)
    middle = list(kz).index(0) * len(ky) + list(ky).index(0)
    np.testing.assert_array_equal(block[0, :, size[0] // 2, size[1] // 2], lines[middle])
    assert block.any(axis=(0, 1, 4)).all()


def test_slices_have_blocks_of_their_own():
    calibration, _ = sent(range(1), range(-2, 2))
    calibration, second = sent(range(1), range(-2, 2), slice_number=3, calibration=calibration)
    np.testing.assert_array_equal(calibration.block(3)[0, :, 0, 2], second[2])
    assert calibration.block(1) is None


def test_echoes_that_are_whole_are_taken():
    calibration, _ = sent(range(-2, 2), range(-2, 2), echoes=2)
    calibration.add(random_complex(1, 2, 5), tuple(np.array([[2], [0], [0]])), np.zeros(1))
    assert calibration.block().shape[0] == 2


def test_lines_that_come_again_are_averaged():
    calibration, first = sent(range(-2, 2), range(-2, 2))
    for factor in (2, 6):
        calibration.add(factor * first[5:6], tuple(np.array([[0], [-1], [-1]])), np.zeros(1))
    block = calibration.block()
    np.testing.assert_allclose(block[0, :, 1, 1], 3 * first[5], rtol=1e-6)
    np.testing.assert_array_equal(block[0, :, 1, 2], first[6])


def test_no_more_than_what_calibrates_is_kept():
    calibration, lines = sent(range(1), range(-300, 300), echoes=1)
    calibration.add(lines[:1], tuple(np.array([[0], [65000], [0]])), np.zeros(1))
    assert calibration.block().shape == (1, 2, 1, 2 * REACH + 1, 5)


def test_only_echoes_that_came_take_memory():
    calibration, lines = sent(range(-2, 2), range(-2, 2))
    places = [np.full(16, 65535), *np.divmod(np.arange(16), 4) - np.array(2)]
    calibration.add(lines, tuple(places), np.zeros(16))
    assert calibration.block().shape[0] == 2


def test_a_block_with_holes_is_refused():
    calibration, _ = sent(range(-2, 2), range(-2, 2), without=(1, 1))
    calibration.add(random_complex(1, 2, 5), tuple(np.array([[1], [0], [0]])), np.zeros(1))
    with pytest.raises(QsmError, match="1 of 4 x 4 calibration lines are missing"):
        calibration.block()


def test_a_block_beside_the_centre_is_refused():
    calibration, _ = sent(range(-2, 2), range(1, 5))
    with pytest.raises(QsmError, match="one side of k = 0"):
        calibration.block()
