from __future__ import annotations

import math

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Scan


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"snr": -1.0}, "SNR"),
        ({"snr": math.nan}, "SNR"),
        ({"echo_times_s": (0.01, 0.005)}, "echo times"),
        ({"echo_times_s": (0.005, 0.005)}, "echo times"),
        ({"echo_times_s": (0.0, 0.005)}, "echo times"),
        ({"echo_times_s": ()}, "echo times"),
        ({"tr_s": 0.02}, "TR"),
        ({"voxel_size_mm": (1.0, 0.0, 1.0)}, "voxel sizes"),
        ({"coils": 0}, "number of coils"),
        ({"coils": 65}, "number of coils"),
        ({"field_strength_t": 0.0}, "field strength"),
        ({"matrix": (8, 8, 2)}, "matrix"),
        ({"fine_per_voxel": 0}, "fine voxels"),
        ({"noise_lines": -1}, "noise lines"),
        ({"sample_time_us": 0.0}, "sample time"),
        ({"tilt_deg": math.inf}, "tilts"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(wrong, complaint):
    with pytest.raises(QsmError, match=complaint):
        Scan(**wrong)


def test_an_untilted_head_lies_along_the_bore():
    scan = Scan(tilt_deg=0.0)
    np.testing.assert_array_equal(scan.directions, np.eye(3))
    assert scan.b0_direction == (1.0, 0.0, 0.0)


def test_a_nod_turns_b0_from_the_slice_axis_towards_the_phase_axis():
    z, y, x = Scan(tilt_deg=30.0).b0_direction
    assert (z, y, x) == pytest.approx((math.cos(math.pi / 6), math.sin(math.pi / 6), 0.0))


def test_directions_are_a_right_handed_frame_and_b0_is_the_patients_z_in_it():
    scan = Scan(tilt_deg=25.0, second_tilt_deg=-15.0)
    read, phase, slices = scan.directions
    np.testing.assert_allclose(np.cross(read, phase), slices, atol=1e-12)
    z, y, x = scan.b0_direction
    np.testing.assert_allclose(z * slices + y * phase + x * read, (0, 0, 1), atol=1e-12)
