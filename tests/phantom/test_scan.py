from __future__ import annotations

import math

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Extras, Readout, Sampling, Scan, Slices


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


@pytest.mark.parametrize(
    ("part", "wrong", "complaint"),
    [
        (Sampling, {"acceleration": (4, 1)}, "acceleration"),
        (Sampling, {"acceleration": (1, 5)}, "acceleration"),
        (Sampling, {"acceleration": (1, 2), "caipi_shift": 2}, "CAIPI shift .* 0 to 1"),
        (Sampling, {"acceleration": (3, 2), "caipi_shift": 3, "caipi_axis": "z"}, "0 to 2"),
        (Sampling, {"caipi_axis": "x"}, "CAIPI axis"),
        (Sampling, {"calibration": "both"}, "calibration"),
        (Sampling, {"calibration_size": (0, 24)}, "calibration size"),
        (Sampling, {"partial_fourier": (1.0, 0.5)}, "partial Fourier"),
        (Sampling, {"oversampling": (0.9, 1.0)}, "oversampling"),
        (Sampling, {"lost": 1.0}, "lost lines"),
        (Sampling, {"order": "spiral"}, "order of lines"),
        (Sampling, {"averages": 0}, "averages"),
        (Sampling, {"duplicates": -1}, "duplicates"),
        (Readout, {"echo_fraction": 0.5}, "fraction of the echo"),
        (Readout, {"delay_us": math.nan}, "gradient delay"),
        (Readout, {"discard": (-1, 0)}, "discard"),
        (Slices, {"gap_mm": -1.0}, "gap"),
        (Slices, {"order": "random"}, "slice order"),
        (Slices, {"numbered": "time"}, "slice numbers"),
        (Extras, {"kinds": ("noise",)}, "extra lines"),
        (Extras, {"every": 0}, "extra lines"),
        (Extras, {"idle_channels": -1}, "idle channels"),
    ],
)
def test_a_part_of_the_protocol_that_cannot_be_is_refused(part, wrong, complaint):
    with pytest.raises(QsmError, match=complaint):
        part(**wrong)


@pytest.mark.parametrize(
    "along_z",
    [{"acceleration": (2, 1)}, {"partial_fourier": (0.75, 1.0)}, {"oversampling": (1.5, 1.0)}],
)
def test_slices_are_not_encoded_along_z(along_z):
    with pytest.raises(QsmError, match="along z"):
        Scan(slices=Slices(), sampling=Sampling(**along_z))


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
