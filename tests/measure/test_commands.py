"""gadgetron-qsm compare VISIT1 VISIT2 [...]"""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from gadgetron_qsm import cli
from tests.measure.moved_head import motion, write

RAISED_PPB = 30.0


@pytest.fixture
def call(monkeypatch, capsys):
    """A function that runs the command as the shell would; gives exit status, what it prints."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gadgetron-qsm", "compare", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    monkeypatch.setenv("COLUMNS", "160")
    return run


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("visits")
    return [
        write(folder / "before", 1, np.eye(4)),
        write(folder / "after", 8, motion(), RAISED_PPB),
        write(folder / "follow-up", 22, motion(5, (1, 2, -3))),
    ]


def test_the_changes_of_three_visits_are_told_and_written(visits, call, tmp_path):
    status, out, err = call(*visits, "--output", tmp_path / "new")
    assert (status, err) == (0, "")
    assert "after since before; head turned 8." in out
    line = next(line for line in out.splitlines() if "left putamen" in line)
    assert "changed" in line
    assert "not for clinical use" in out
    found = json.loads((tmp_path / "new" / "changes.json").read_text())
    assert found["use"] == "Research use; not for clinical use."
    assert [visit["name"] for visit in found["visits"]] == ["before", "after", "follow-up"]
    changed = [
        (r["structure"], r["side"], r["later_visit"]) for r in found["changes"] if r["changed"]
    ]
    assert changed == [("putamen", "left", "after")]
    with (tmp_path / "new" / "changes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert float(rows[0]["change_ppb"]) == pytest.approx(RAISED_PPB, abs=3)
    assert rows[0]["changed"] == "True"
    picture = imread(tmp_path / "new" / "trend.png")
    assert picture.shape[1] > 500
    assert picture.std() > 0


def test_the_order_of_the_folders_does_not_matter(visits, call, tmp_path):
    first, after, _ = visits
    assert call(after, first, "--output", tmp_path)[0] == 0
    found = json.loads((tmp_path / "changes.json").read_text())
    assert found["changes"][0]["change_ppb"] > 0


def test_other_settings_need_to_be_allowed(visits, call, tmp_path):
    reference = {"reference": {"region": "CSF"}}
    other = write(tmp_path / "other", 9, np.eye(4), about=reference)
    status, _, err = call(visits[0], other, "--output", tmp_path / "new")
    assert status == 1
    assert "reference region: whole brain, then CSF. --allow-differences" in err
    assert not (tmp_path / "new").exists()
    status, out, _ = call(visits[0], other, "--output", tmp_path / "new", "--allow-differences")
    assert status == 0
    assert "warning: other differs in reference region: whole brain, then CSF" in out
    found = json.loads((tmp_path / "new" / "changes.json").read_text())
    assert found["intervals"][0]["differences"] == ["reference region: whole brain, then CSF"]


def test_two_patients_are_one_line(visits, call, tmp_path):
    other = write(tmp_path / "other", 9, np.eye(4), about={"patient": "somebody else"})
    status, out, err = call(visits[0], other, "--output", tmp_path, "--allow-differences")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "are of two patients" in err


def test_wrong_use_is_status_2(visits, call, tmp_path):
    assert call(visits[0], "--output", tmp_path)[0] == 2
    assert call(visits[0], visits[1])[0] == 2


def test_a_folder_that_is_none_of_a_visit_is_one_line(visits, call, tmp_path):
    status, _, err = call(visits[0], tmp_path, "--output", tmp_path / "new")
    assert status == 1
    assert "has no measurement.json" in err
