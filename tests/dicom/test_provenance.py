from __future__ import annotations

import numpy as np

from gadgetron_qsm.dicom.pixels import quantise
from gadgetron_qsm.dicom.provenance import comments, derivation

NOTHING_LOST = quantise(np.zeros(1))


def test_the_derivation_names_each_method_with_its_parameters_in_order():
    line = derivation(
        {
            "unwrapping": {"method": "romeo", "source": "doi:10.1002/mrm.28563"},
            "background": {"method": "vsharp", "threshold": 0.05},
        }
    )
    assert line.endswith("; unwrapping: romeo; background: vsharp (threshold=0.05)")


def test_a_derivation_that_is_too_long_keeps_the_methods_and_drops_the_parameters():
    stage = {"method": "vsharp", "radii_mm": "9" * 100}
    line = derivation({f"stage{i}": stage for i in range(20)})
    assert len(line) <= 1024
    assert "stage19: vsharp" in line


def test_a_comment_says_unit_reference_and_use(make_map):
    volume = make_map(report={"provenance": {"reference": {"region": "the mean of the mask"}}})
    assert comments(volume, NOTHING_LOST) == (
        "Magnetic susceptibility in ppb, relative to the mean of the mask. "
        "Research use; not for clinical use."
    )


def test_a_reference_region_that_nobody_recorded_is_not_invented(make_map):
    assert "relative to a region that was not recorded" in comments(make_map(), NOTHING_LOST)


def test_warnings_of_the_run_travel_in_the_image(make_map):
    volume = make_map("r2star", report={"warnings": ["no noise scan"]})
    assert comments(volume, NOTHING_LOST).endswith("Warning: no noise scan.")
