from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.folder import Visit
from gadgetron_qsm.measure.protocol import differences
from gadgetron_qsm.measure.scan import Scan

GRID = Geometry((2, 2, 2), (1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
ABOUT = {
    "scan": {"field_strength_t": 3.0, "echo_times_s": [0.005, 0.01]},
    "methods": {
        "coils": {"method": "ESPIRiT"},
        "sense": {"method": "CG-SENSE, ESPIRiT", "iterations": 7},
        "inversion": {"method": "tv", "lambda": 0.1},
        "swi": {"method": "swi"},
        "device": {"method": "computed on a GPU"},
    },
    "reference": {"region": "whole brain", "mean_ppb": 0.0},
}


def visit(voxel=1.0, **changes):
    about = {section: {**ABOUT[section], **changes.get(section, {})} for section in ABOUT}
    zeros = np.zeros((2, 2, 2), np.float32)
    geometry = replace(GRID, voxel_size=(voxel, 1, 1))
    return Visit(Path("v"), Scan(zeros, zeros, zeros > 0, geometry), None, about)


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"scan": {"field_strength_t": 3.0001}},
        {"scan": {"echo_times_s": [0.00502, 0.01001]}},
        {"voxel": 1.001},
        {"reference": {"mean_ppb": 3.0}},
        {"methods": {"sense": {"method": "CG-SENSE, ESPIRiT", "iterations": 9}}},
        {"methods": {"swi": {"method": "clear_swi"}, "device": {"method": "on the CPU"}}},
    ],
)
def test_what_does_not_matter_is_no_difference(same):
    assert differences(visit(), visit(**same)) == ()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"scan": {"field_strength_t": 1.5}}, "field strength, T: 3.0, then 1.5"),
        ({"scan": {"field_strength_t": None}}, "field strength, T: 3.0, then nan"),
        ({"scan": {"echo_times_s": [0.005]}}, "echo times, ms: 5 10, then 5"),
        ({"scan": {"echo_times_s": [0.005, 0.012]}}, "echo times, ms: 5 10, then 5 12"),
        ({"scan": {"echo_times_s": None}}, "echo times, ms: 5 10, then unknown"),
        ({"voxel": 1.2}, "voxel size (z, y, x), mm: 1 1 1, then 1.2 1 1"),
        ({"reference": {"region": "CSF"}}, "reference region: whole brain, then CSF"),
        ({"methods": {"inversion": {"method": "medi"}}}, "inversion: tv, then medi"),
        (
            {"methods": {"inversion": {"method": "tv", "lambda": 0.2}}},
            "inversion.lambda: 0.1, then 0.2",
        ),
        ({"methods": {"two_pass": {"method": "filled"}}}, "two pass: not done, then filled"),
    ],
)
def test_what_matters_is_told_with_both_values(other, told):
    assert differences(visit(), visit(**other)) == (told,)
