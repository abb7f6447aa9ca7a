from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.arlo import arlo
from tests.contrast.decay import decay

TIMES_S = 0.004 + 0.005 * np.arange(6)
R2STAR = np.array([[[0.0, 5.0, 20.0, 40.0, 80.0]]])


def test_a_decay_over_long_spacings_is_off_by_simpsons_rule_and_no_more():
    fast = 220.0
    found = arlo(decay(np.full((1, 1, 1), fast), TIMES_S), TIMES_S).item()
    assert found == pytest.approx(fast * (1 - (fast * 0.005) ** 4 / 180), rel=2e-3)


def test_echo_times_that_were_rounded_to_10_us_are_equidistant():
    times_s = [0.00492, 0.00984, 0.01477, 0.01969]
    np.testing.assert_allclose(arlo(decay(R2STAR, times_s), times_s), R2STAR, rtol=3e-3, atol=0.01)


@pytest.mark.parametrize("times_s", [(0.004, 0.009, 0.015), (0.004, 0.004, 0.009)])
def test_echoes_that_are_not_equidistant_are_refused(times_s):
    with pytest.raises(ValueError, match=r"equidistant echoes, and they are at 4, .* take the log"):
        arlo(decay(R2STAR, times_s), times_s)


def test_two_echoes_are_refused():
    with pytest.raises(ValueError, match="at least three echoes"):
        arlo(decay(R2STAR, TIMES_S)[:2], TIMES_S[:2])
