"""The numbers of controls here are made up, and stand for nobody."""

from __future__ import annotations

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.controls import Control, read_controls, z_scores
from tests.measure.rows import row

REGIONS = ("putamen", "thalamus")


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a table of these lines."""

    def read(*lines):
        path = tmp_path / "controls.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_controls(path, REGIONS)

    return read


def z_of(found):
    return [(score.row.label, score.z) for score in found]


def test_a_plain_table_is_read(read):
    assert read("region,age,mean,sd", "putamen,40,50,8", "whole brain,40,0.5,1") == [
        Control("putamen", None, "chi", 40, 40, 50, 8),
        Control("whole brain", None, "chi", 40, 40, 0.5, 1),
    ]


def test_bands_sides_maps_and_numbers_are_read_in_any_order(read):
    header = "n, sd, note, mean, map, side, age_max, age_min, region"
    found = read("\ufeff" + header, "12, 3, x, 31, r2star, left, 60, 41, thalamus")
    assert found == [Control("thalamus", "left", "r2star", 41, 60, 31, 3, 12)]
    (all_ages,) = read("region,age_min,age_max,mean,sd", "putamen,,,1,1")
    assert (all_ages.age_min, all_ages.age_max) == (0, 130)


def test_regions_may_be_named_as_an_atlas_writes_them(read):
    (found,) = read("region,side,age,mean,sd", "Thalamus-Proper,Left,40,5,8")
    assert (found.region, found.side) == ("thalamus", "left")


def test_the_z_score_is_in_sd_above_the_controls():
    controls = [Control("putamen", None, "chi", 20, 60, 50, 8)]
    found = z_scores([row("putamen", "left", 66), row("putamen", "right", 46)], controls, 33)
    assert z_of(found) == [("left putamen", 2), ("right putamen", -0.5)]


def test_controls_of_the_same_side_and_map_are_taken():
    controls = [
        Control("putamen", None, "chi", 0, 99, 0, 1),
        Control("putamen", "left", "chi", 0, 99, 50, 8),
        Control("putamen", "left", "r2star", 0, 99, 30, 2),
    ]
    rows = [
        row("putamen", "left", 66),
        row("putamen", "right", 3),
        row("putamen", "left", 27, of="r2star"),
        row("putamen", "right", 27, of="r2star"),
        row("thalamus", "left", 1),
    ]
    assert z_of(z_scores(rows, controls, 40)) == [
        ("left putamen", 2),
        ("right putamen", 3),
        ("left putamen", -1.5),
    ]


@pytest.mark.parametrize(
    ("age", "mean"),
    [
        (25, 1),  # in a band
        (40, 2),  # in two: the narrower
        (52, 3),  # of one age within a band
        (66, 2),  # nearer to the band
        (73, 4),  # nearer to one age
        (84, 4),
    ],
)
def test_controls_of_the_nearest_age_are_taken(age, mean):
    bands = (20, 40, 1), (40, 59, 2), (52, 52, 3), (75, 75, 4)
    controls = [Control("putamen", None, "chi", *band, 1) for band in bands]
    (found,) = z_scores([row("putamen", "left", 9)], controls, age)
    assert found.control.mean == mean


def test_controls_of_a_far_age_are_not_taken():
    controls = [Control("putamen", None, "chi", 40, 60, 50, 8)]
    assert len(z_scores([row("putamen", "left", 9)], controls, 30)) == 1
    assert z_scores([row("putamen", "left", 9)], controls, 29) == []


def test_controls_of_the_side_at_a_far_age_leave_those_of_both_sides():
    controls = [
        Control("putamen", "left", "chi", 20, 30, 40, 5),
        Control("putamen", None, "chi", 20, 80, 50, 8),
    ]
    assert z_of(z_scores([row("putamen", "left", 66)], controls, 70)) == [("left putamen", 2)]


@pytest.mark.parametrize("age", [-1, 131, float("nan")])
def test_an_age_that_is_none_is_refused(age):
    with pytest.raises(QsmError, match="the patient's age is"):
        z_scores([], [], age)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["region,age,mean", "putamen,40,50"], "has no column sd; a table of controls needs"),
        (["region;age;mean;sd"], r"has no column region, mean, sd, age \(or age_min and age_max\)"),
        (["region,mean,sd,age_min", "putamen,1,1,1"], r"no column age \(or"),
        (["region,age,mean,sd"], "has no line of controls"),
        ([""], "has no column region"),
        (["region,age,mean,sd", "putamen,40,high,8"], "line 2: mean is 'high'; it must be a num"),
        (["region,age,mean,sd", "putamen,40,,8"], "line 2: mean is ''; it must be a number"),
        (["region,age,mean,sd", "putamen,40,nan,8"], "line 2: mean is 'nan'; it must be a finite"),
        (["region,age,mean,sd", "putamen,,50,8"], "line 2: age is ''; it must be a number"),
        (["region,age,mean,sd", "putamen,40,5,8", "putamen,50,5,0"], "line 3: sd is 0; it must"),
        (["region,age,mean,sd", "putamen,40,5,-8"], "sd is -8; it must be above 0"),
        (["region,age,mean,sd", "Putamin,40,5,8"], "no region 'Putamin'; there are putamen, thal"),
        (["region,age,mean,sd", "L Putamen,40,5,8"], "its side goes into the column side"),
        (["region,age,mean,sd", "putamen,400,5,8"], "ages are 400 to 400"),
        (["region,age_min,age_max,mean,sd", "putamen,60,40,5,8"], "ages are 60 to 40"),
        (["region,side,age,mean,sd", "putamen,L,40,5,8"], "side is 'L'; it must be left, right or"),
        (["region,map,age,mean,sd", "putamen,qsm,40,5,8"], "map is 'qsm'; it must be one of chi,"),
        (["region,age,mean,sd,n", "putamen,40,5,8,2.5"], "n is 2.5; it must be a whole number"),
        (["region,age,mean,sd", "putamen,40,5,8,9"], "line 2: there are more values"),
        (["region,age,mean,sd", *["putamen,40,5,8"] * 2], "line 3: the same region, side, map"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(read, lines, problem):
    with pytest.raises(QsmError, match=problem) as refused:
        read(*lines)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_absent_or_no_text_is_refused(tmp_path):
    with pytest.raises(QsmError, match=r"cannot read the table of controls .*none\.csv"):
        read_controls(tmp_path / "none.csv", REGIONS)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QsmError, match="cannot read the table of controls"):
        read_controls(tmp_path / "binary.csv", REGIONS)
