"""A row of a scan that was replayed, and of one that was not."""

from __future__ import annotations

import json
import shutil

import pytest

from gadgetron_qsm.cohort.figures import FIGURES, row_of
from gadgetron_qsm.cohort.finished import NAME, settings_hash
from gadgetron_qsm.cohort.task import Task, perform

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}


@pytest.fixture(scope="module")
def folder(raw, tmp_path_factory):
    """The folder of a scan that was replayed; copy it to change it."""
    made = tmp_path_factory.mktemp("out") / "scan"
    perform(Task("scan", raw, made, settings_hash("qsm", QUICK), overrides=QUICK))
    return made


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def rewritten(folder, change):
    path = folder / "report.json"
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_a_scan_that_was_replayed_has_every_figure_and_a_thumbnail(folder):
    row = row_of(folder, "one")
    quality = json.loads((folder / "report.json").read_text())["quality"]
    assert (row.name, row.state, row.folder, row.reason) == ("one", "done", folder, "")
    assert row.figures.keys() == FIGURES.keys()
    assert row.figures["streaking"] == quality["streaking_ratio"]
    assert row.figures["reference_sd"] == quality["reference"]["sd_ppb"]
    assert row.figures["phase_residues"] == quality["phase_residues"]["combined"]
    assert row.figures["warnings"] == len(row.warnings)
    assert row.thumbnail.startswith(b"\x89PNG")
    assert len(row.thumbnail) < 15_000


def test_warnings_are_counted_and_told(copy):
    rewritten(copy, lambda report: report.update(warnings=["a", "b"]))
    row = row_of(copy, "one")
    assert (row.warnings, row.figures["warnings"]) == (("a", "b"), 2)


def test_a_failed_scan_has_its_reason_and_no_figure_of_before(copy):
    row = row_of(copy, "one", "the mask is empty")
    assert (row.state, row.reason) == ("failed", "the mask is empty")
    assert (row.figures, row.thumbnail) == ({}, None)


@pytest.mark.parametrize("lost", [NAME, "report.json"])
def test_a_scan_of_which_not_all_is_there_was_not_run(copy, lost):
    (copy / lost).unlink()
    row = row_of(copy, "one")
    assert (row.state, row.figures, row.thumbnail) == ("not run", {}, None)


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff"])
def test_a_report_that_is_none_is_none(copy, text):
    (copy / "report.json").write_bytes(text.encode(errors="surrogateescape"))
    assert row_of(copy, "one").state == "not run"


@pytest.mark.parametrize("value", [None, "high", [1], {"a": 1}, float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_missing(copy, value):
    rewritten(copy, lambda report: report["quality"].update(ghosting_percent=value))
    assert row_of(copy, "one").figures.keys() == FIGURES.keys() - {"ghosting"}


@pytest.mark.parametrize("quality", [None, [], {}])
def test_without_figures_the_number_of_warnings_is_left(copy, quality):
    rewritten(copy, lambda report: report.update(quality=quality))
    assert row_of(copy, "one").figures.keys() == {"warnings"}


def test_without_a_thumbnail_or_with_a_large_one_there_is_none(copy):
    (copy / "thumbnail.png").write_bytes(bytes(70_000))
    assert row_of(copy, "one").thumbnail is None
    (copy / "thumbnail.png").unlink()
    assert row_of(copy, "one").thumbnail is None
