from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.phase import phase_to_radians


@pytest.mark.parametrize(
    ("stored", "dtype", "radians"),
    [
        ([-np.pi, 0, np.pi], np.float32, [-np.pi, 0, np.pi]),
        ([0, np.pi, 2 * np.pi], np.float64, [0, np.pi, 2 * np.pi]),
        ([0, 2048, 3072, 4000], np.uint16, [-np.pi, 0, np.pi / 2, np.pi * 1952 / 2048]),
        ([0, 2048, 4095], np.float32, [-np.pi, 0, np.pi * 2047 / 2048]),
        ([-4096, 0, 2048, 4000], np.int16, [-np.pi, 0, np.pi / 2, np.pi * 4000 / 4096]),
        ([-4096, 0, 4094], np.float32, [-np.pi, 0, np.pi * 4094 / 4096]),
    ],
)
def test_the_range_of_phase_images_tells_their_scale(stored, dtype, radians):
    (result,) = phase_to_radians([np.array(stored, dtype)])
    np.testing.assert_allclose(result, radians, atol=2e-6)
    assert result.dtype == np.float32


def test_the_range_of_all_echoes_counts():
    first, _ = phase_to_radians([np.array([100, 200]), np.array([-4096, 4094])])
    np.testing.assert_allclose(first, [np.pi * 100 / 4096, np.pi * 200 / 4096], rtol=1e-6)


@pytest.mark.parametrize("stored", [[0, 65535], [-32768, 32767], [-180.0, 180.5, 5000]])
def test_phase_of_an_unknown_scale_is_refused(stored):
    with pytest.raises(QsmError, match=r"they must be in radians"):
        phase_to_radians([np.array(stored)])


@pytest.mark.parametrize("stored", [[-3142, 3141], [-180.0, 180.0], [0.0, 360.0], [-3, 3]])
def test_a_range_that_phase_does_not_fill_is_something_else(stored):
    with pytest.raises(QsmError, match="neither radians nor a full range"):
        phase_to_radians([np.array(stored)])
