"""The numbers of controls here are made up, and stand for nobody."""

from __future__ import annotations

import csv
import json
from dataclasses import astuple

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.asymmetry import asymmetries
from gadgetron_qsm.measure.controls import Control, z_scores
from gadgetron_qsm.measure.tables import content_of, read_table, write_table
from tests.measure.rows import row

ROWS = [
    row("whole brain", None, 0.0),
    row("putamen", "left", 61.23456, error=0.123456),
    row("putamen", "right", 41.0, error=0.25),
    row("putamen", "left", 33.5, of="r2star"),
]
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


def test_a_table_reads_back_as_the_rows_that_were_written(tmp_path):
    path = tmp_path / "regions.csv"
    write_table(path, ROWS)
    again = read_table(path)
    for found, written in zip(again, ROWS, strict=True):
        assert found.label == written.label
        assert (found.map, found.unit, found.reference) == (
            written.map,
            written.unit,
            written.reference,
        )
        known = [value for value in astuple(written.found) if value is not None]
        read = [value for value in astuple(found.found) if value is not None]
        assert read == pytest.approx(known, abs=0.005)
    write_table(path, again)
    assert read_table(path) == again


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "regions.csv"
    with pytest.raises(QsmError, match="cannot read the table of regions"):
        read_table(path)
    path.write_text("region,mean\nputamen,5\n")
    with pytest.raises(QsmError, match="is no table of regions: no column side, map"):
        read_table(path)
    write_table(path, ROWS)
    text = path.read_text()
    path.write_text(text.replace("61.23", "high"))
    with pytest.raises(QsmError, match=r"line 3: could not convert string to float: 'high'"):
        read_table(path)
    path.write_text(text.replace("left", "L"))
    with pytest.raises(QsmError, match="line 3: side is 'L'"):
        read_table(path)


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
