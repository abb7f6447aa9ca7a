from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.ingest.partial_fourier import LINES, SAMPLES, acquired, fill_partial_fourier
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.pocs import pocs
from tests.raw_scan import random_complex

SHAPE = (2, 1, 4, 24, 32)  # echo, coil, kz, ky, x
WHOLE = (0, 32)
ASYMMETRIC = (8, 32)


@pytest.mark.parametrize(
    ("first", "last", "encoded", "samples", "expected"),
    [
        (-8, 7, 16, 8, (0, 8)),
        (-7, 8, 16, 8, (1, 8)),
        (-5, 7, 16, 8, (2, 8)),
        (-8, 4, 16, 8, (0, 7)),
        (-8, 5, 16, 8, (0, 7)),
        (-7, 6, 14, 7, (0, 7)),
        (-4, 3, 8, 8, (0, 8)),
        (-9, 11, 16, 8, (0, 8)),
    ],
)
def test_what_readouts_reach_is_counted_in_voxels_kept(first, last, encoded, samples, expected):
    assert acquired(first / encoded, last / encoded, samples) == expected


def filled(announced, readouts, *, parts=(slice(None),), method="pocs"):
    """Data before and after, None where it was not asked for, and the warnings."""
    before, journal = random_complex(*SHAPE), Journal()
    asked = []

    def hybrid():
        asked.append(before.copy())
        return asked[0]

    fill_partial_fourier(
        hybrid, announced, readouts, SHAPE[-1], parts=parts, method=method, journal=journal
    )
    return before, asked[0] if asked else None, journal.warnings


def lines(first=0):
    announced = np.ones(SHAPE[2:4], bool)
    announced[:, :first] = False
    return announced


@pytest.mark.parametrize("readouts", [[WHOLE, WHOLE], [(1, 32), (0, 30)]])
@pytest.mark.parametrize("method", ["pocs", "zero"])
def test_what_came_whole_but_for_rounding_is_left_alone(readouts, method):
    _, data, warnings = filled(lines(), readouts, method=method)
    assert data is None
    assert not warnings


@pytest.mark.parametrize(
    ("first", "readouts", "expected"),
    [
        (5, [WHOLE, WHOLE], [LINES]),
        (0, [WHOLE, ASYMMETRIC], [SAMPLES]),
        (0, [WHOLE, (3, 32)], [SAMPLES]),
        (5, [ASYMMETRIC, WHOLE], [LINES, SAMPLES]),
    ],
)
def test_zeros_are_warned_of(first, readouts, expected):
    _, data, warnings = filled(lines(first), readouts, method="zero")
    assert data is None
    assert warnings == expected


def test_pocs_is_told_what_of_each_echo_came():
    before, data, warnings = filled(lines(5), [WHOLE, ASYMMETRIC])
    for echo, readout in zip(before, (WHOLE, ASYMMETRIC), strict=True):
        pocs(echo, ((0, 4), (5, 24), readout))
    np.testing.assert_array_equal(data, before)
    assert not warnings


def test_slices_are_filled_one_by_one():
    parts = [slice(z, z + 1) for z in range(SHAPE[2])]
    before, data, _ = filled(lines(5), [WHOLE, WHOLE], parts=parts)
    for part in parts:
        pocs(before[:, :, part], ((0, 1), (5, 24), WHOLE))
    np.testing.assert_allclose(data, before, rtol=1e-5, atol=1e-5)
