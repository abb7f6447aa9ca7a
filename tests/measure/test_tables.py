"""The numbers of controls here are made up, and stand for nobody."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from functools import partial

import pytest

from gadgetron_qsm.measure.asymmetry import asymmetries
from gadgetron_qsm.measure.controls import Control, z_scores
from gadgetron_qsm.measure.tables import content_of, write_table
from tests.measure.rows import row

ROWS = [
    row("whole brain", None, 0.0),
    row("putamen", "left", 61.23456, error=0.123456),
    row("putamen", "right", 41.0, error=0.25),
    row("putamen", "left", 33.5, of="r2star"),
]
approx = partial(pytest.approx, abs=0.005)
CONTROLS = [Control("putamen", None, "chi", 40, 60, 50, 8, 12)]


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "regions.csv"
    write_table(path, ROWS, z_scores(ROWS, CONTROLS, 50))
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_line_for_each_region_side_and_map(lines):
    found = [(line["region"], line["side"], line["map"], line["unit"]) for line in lines]
    assert found == [
        ("whole brain", "", "chi", "ppb"),
        ("putamen", "left", "chi", "ppb"),
        ("putamen", "right", "chi", "ppb"),
        ("putamen", "left", "r2star", "1/s"),
    ]
    assert [line["reference"] for line in lines] == ["whole brain"] * 3 + [""]


def test_numbers_of_a_table_have_the_digits_that_mean_something(lines):
    left = lines[1]
    assert (left["mean"], left["sd"], left["standard_error"]) == ("61.23", "9.88", "0.123")
    assert (left["voxels"], left["volume_mm3"], left["fraction_inside"]) == ("100", "800.0", "0.96")
    assert lines[0]["standard_error"] == ""


def test_z_scores_stand_beside_their_rows(lines):
    assert [line["z"] for line in lines] == ["", "1.4", "-1.12", ""]
    left = lines[1]
    assert (left["control_mean"], left["control_sd"], left["control_n"]) == ("50", "8", "12")
    assert (left["control_age_min"], left["control_age_max"]) == ("40", "60")


def test_every_number_of_a_row_is_there(lines):
    for line, written in zip(lines, ROWS, strict=True):
        for name, value in asdict(written.found).items():
            assert line[name] == "" if value is None else float(line[name]) == approx(value)


def test_a_mean_without_partial_volume_stands_beside_the_others(tmp_path):
    write_table(tmp_path / "regions.csv", [replace(ROWS[1], corrected=70.456), ROWS[2]])
    first, second = csv.DictReader((tmp_path / "regions.csv").read_text().splitlines())
    assert (first["corrected_mean"], second["corrected_mean"]) == ("70.46", "")


def test_sides_and_scores_are_told_with_the_rows():
    told = content_of(ROWS, asymmetries(ROWS, "right"), z_scores(ROWS, CONTROLS, 50))
    assert json.loads(json.dumps(told)) == told
    assert [r["region"] for r in told["regions"]] == ["whole brain", *["putamen"] * 3]
    assert told["regions"][1]["standard_error"] == 0.123
    (found,) = told["asymmetries"]
    assert found == {
        "region": "putamen",
        "map": "chi",
        "unit": "ppb",
        "lesion_side": "right",
        "left": 61.23,
        "right": 41.0,
        "left_minus_right": 20.23,
        "standard_error": 0.279,
        "index_percent": 39.58,
        "index_standard_error": 0.62,
        "ipsilateral": 41.0,
        "contralateral": 61.23,
        "ipsilateral_minus_contralateral": -20.23,
    }
    assert [(s["side"], s["z"], s["control_mean"]) for s in told["z_scores"]] == [
        ("left", 1.4, 50),
        ("right", -1.12, 50),
    ]
