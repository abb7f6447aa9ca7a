from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.accuracy import accuracy_table, compare

SHAPE = (8, 6, 10)


@pytest.fixture
def truth():
    """A brain without the volume's rim, and three nuclei (2, 4, 5) of 8 voxels each in it.

    The halves x < 5 and x >= 5 mirror each other but for the labels.
    """
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    labels = np.where(brain, 8, 14).astype(np.uint8)
    chi_ppm = np.random.default_rng(3).normal(0, 0.02, SHAPE)
    for number, start, ppm in ((2, 1, 0.13), (4, 3, 0.10), (5, 5, 0.05)):
        labels[start : start + 2, 2:4, 2:4] = number
        chi_ppm[start : start + 2, 2:4, 2:4] = ppm
    chi_ppm[:, :, 5:] = chi_ppm[:, :, 4::-1]
    chi_ppm[~brain] = 9.2
    return {
        "chi_ppm": chi_ppm.astype(np.float32),
        "brain": brain,
        "labels": labels,
        "label_numbers": np.array([2, 4, 5, 8, 14]),
        "label_names": np.array(["pallidum", "red nucleus", "dentate", "white matter", "air"]),
    }


def true_ppb(truth):
    return truth["chi_ppm"].astype(np.float64) * 1000


def test_a_true_map_with_another_reference_is_without_error(truth):
    found = compare(true_ppb(truth) + 37, truth["brain"], truth)
    assert found["nrmse_percent"] == pytest.approx(0, abs=1e-6)
    assert found["nrmse_whole_brain_percent"] == pytest.approx(0, abs=1e-6)
    assert found["slope"] == pytest.approx(1)
    assert found["nuclei_rmse_ppb"] == pytest.approx(0, abs=1e-6)
    assert found["coverage"] == 1


def test_a_map_at_80_percent_has_20_percent_error_and_slope_08(truth):
    found = compare(0.8 * true_ppb(truth), truth["brain"], truth)
    assert found["nrmse_percent"] == pytest.approx(20)
    assert found["slope"] == pytest.approx(0.8)


def test_a_flat_map_has_100_percent_error_and_slope_0(truth):
    found = compare(np.full(SHAPE, 12.0), truth["brain"], truth)
    assert found["nrmse_percent"] == pytest.approx(100)
    assert found["slope"] == pytest.approx(0, abs=1e-9)


def test_half_a_brain_covers_half_and_its_missing_half_counts_as_reference(truth):
    mask = truth["brain"].copy()
    mask[:, :, 5:] = False
    found = compare(true_ppb(truth), mask, truth)
    assert found["coverage"] == 0.5
    assert found["nrmse_percent"] == pytest.approx(0, abs=1e-6)
    assert found["nrmse_whole_brain_percent"] == pytest.approx(100 / np.sqrt(2))


def test_over_the_whole_brain_the_truth_is_relative_to_the_whole_brain(truth):
    inside, missing = truth["brain"].copy(), truth["brain"].copy()
    inside[:, :, 5:], missing[:, :, :5] = False, False
    truth["chi_ppm"][missing] += 0.1
    variance = true_ppb(truth)[inside].var()
    found = compare(true_ppb(truth), inside, truth)
    # error: 50 ppb in the half that is there, the values about +50 ppb in the one that is not
    expected = 100 * np.sqrt((variance / 2 + 50**2) / (variance + 50**2))
    assert found["nrmse_whole_brain_percent"] == pytest.approx(expected, rel=1e-5)


def test_voxels_of_the_mask_beyond_the_brain_are_counted_and_judged_apart(truth):
    chi = np.where(truth["brain"], true_ppb(truth), -5000)
    found = compare(chi, np.ones(SHAPE, bool), truth)
    assert found["nrmse_percent"] == pytest.approx(0, abs=1e-6)
    assert found["mask_outside_brain"] == pytest.approx(1 - (6 * 4 * 8) / (8 * 6 * 10))


def test_nuclei_are_relative_to_the_mean_of_the_brain_in_the_mask(truth):
    chi, mask = true_ppb(truth) + 37, truth["brain"]
    rows = compare(chi, mask, truth)["nuclei"]
    assert [row["name"] for row in rows] == ["pallidum", "red nucleus", "dentate"]
    expected = 130 - true_ppb(truth)[mask].mean()
    assert rows[0]["measured_ppb"] == pytest.approx(expected)
    assert rows[0]["true_ppb"] == pytest.approx(expected)


def test_a_nucleus_cut_by_the_mask_is_measured_inside_only(truth):
    mask = truth["brain"].copy()
    mask[1, 2:4, 2:4] = False  # half of the pallidum
    chi = np.where(mask, true_ppb(truth), 7e6)
    row = compare(chi, mask, truth)["nuclei"][0]
    assert (row["voxels"], row["fraction_inside"]) == (4, 0.5)
    assert row["difference_ppb"] == pytest.approx(0, abs=1e-6)


def test_a_nucleus_outside_the_mask_has_no_row(truth):
    mask = truth["brain"] & (truth["labels"] != 4)
    rows = compare(true_ppb(truth), mask, truth)["nuclei"]
    assert [row["name"] for row in rows] == ["pallidum", "dentate"]


def test_errors_of_the_nuclei_are_joined_as_root_mean_square(truth):
    chi = true_ppb(truth)
    chi[truth["labels"] == 2] += 30
    chi[truth["labels"] == 4] -= 30
    found = compare(chi, truth["brain"], truth)
    assert [round(row["difference_ppb"], 3) for row in found["nuclei"]] == [30, -30, 0]
    assert found["nuclei_rmse_ppb"] == pytest.approx(np.sqrt(600))


def test_one_nucleus_has_no_slope(truth):
    mask = truth["brain"] & ~np.isin(truth["labels"], (4, 5))
    assert compare(true_ppb(truth), mask, truth)["slope"] is None


def test_a_map_of_another_size_is_refused(truth):
    with pytest.raises(QsmError, match="differ in shape"):
        compare(np.zeros((8, 6, 9)), np.ones((8, 6, 9), bool), truth)


def test_a_mask_beside_the_brain_is_refused(truth):
    with pytest.raises(QsmError, match="share no voxel"):
        compare(true_ppb(truth), ~truth["brain"], truth)


def as_printed(found):
    console = Console(file=io.StringIO(), width=100)
    console.print(accuracy_table(found))
    return console.file.getvalue()


def test_the_table_shows_each_nucleus_and_the_whole_map(truth):
    found = compare(0.8 * true_ppb(truth), truth["brain"], truth)
    printed = as_printed(found)
    row = found["nuclei"][0]
    assert "pallidum" in printed
    assert f"{row['measured_ppb']:.1f}" in printed
    assert "NRMSE 20.0 %" in printed
    assert "slope 0.80" in printed


def test_the_table_names_the_repetition_that_was_compared_of_several(truth):
    found = compare(true_ppb(truth), truth["brain"], truth)
    assert "repetition" not in as_printed(found)
    assert "(repetition 1)" in as_printed(found | {"repetition": 1})
