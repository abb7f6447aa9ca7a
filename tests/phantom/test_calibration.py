"""What files of accelerated scans say of their calibration."""

from __future__ import annotations

import math

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.phantom import VARIANTS, Scan, varied


@pytest.mark.parametrize("name", VARIANTS)
def test_the_header_tells_of_parallel_imaging(variant, name):
    rows, scan = variant(name), varied(Scan(), [name])
    imaging = rows.header.encoding[0].parallelImaging
    if scan.sampling.acceleration == (1, 1):
        assert imaging is None
        return
    factors = imaging.accelerationFactor
    assert (factors.kspace_encoding_step_2, factors.kspace_encoding_step_1) == (
        scan.sampling.acceleration
    )
    expected = scan.sampling.calibration.replace("none", "other")
    assert imaging.calibrationMode.value == expected


@pytest.mark.parametrize("name", ["r2x2", "r4x3", "caipi2x2", "caipi2x2-z"])
def test_embedded_calibration_is_a_block_whose_flags_tell_what_else_it_is_for(variant, name):
    rows = variant(name)
    image = rows.image[rows.heads["idx"]["contrast"][rows.image] == 0]
    extra = rows.flagged(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)[image]
    both = rows.flagged(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)[image]
    assert not (extra & both).any()
    places = rows.places[image]
    block = {tuple(place) for place in places[extra | both]}
    assert block == {(z, y) for z in range(2, 26) for y in range(3, 27)}
    count = math.prod(varied(Scan(), [name]).sampling.acceleration)
    outside = places[~extra]
    cells = {tuple(place) for place in (places[both] - (14, 15)) % (12, 12)}
    assert len(outside) == pytest.approx(28 * 30 / count, rel=0.1)
    assert len(cells) == 144 / count


def test_separate_calibration_is_a_block_of_its_own_ahead_of_the_scan(variant):
    rows = variant("caipi2x2-separate")
    block = np.flatnonzero(rows.flagged(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION))
    np.testing.assert_array_equal(block, np.arange(4, 4 + 24 * 24 * 2))
    both = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
    assert not rows.flagged(both).any()
    centre = {
        number: rows.samples[number]
        for number in rows.image
        if tuple(rows.places[number]) == (14, 15) and rows.heads["idx"]["contrast"][number] == 0
    }
    first, second = centre.values()
    assert min(centre) < block[-1] < max(centre)
    assert not np.isclose(first, second, rtol=1e-6).any()  # noise of its own
    np.testing.assert_allclose(first, second, atol=0.1 * np.abs(first).max())
