from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.calibration import Calibration
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


def test_a_block_with_holes_is_refused():
    calibration, _ = sent(range(-2, 2), range(-2, 2), without=(1, 1))
    with pytest.raises(QsmError, match="1 of 4 x 4 calibration lines are missing"):
        calibration.block()


def test_a_block_beside_the_centre_is_refused():
    calibration, _ = sent(range(-2, 2), range(1, 5))
    with pytest.raises(QsmError, match="one side of the centre"):
        calibration.block()
