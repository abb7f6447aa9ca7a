"""What is asked for, as a command that can be typed again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.errors import UsageError


@pytest.fixture
def study(tmp_path):
    for name in ("my scan.h5", "sub/$b.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_one_file_goes_into_the_folder_itself_and_others_below(study):
    one = study / "my scan.h5"
    for sources, folders in (
        ([one], {"out"}),
        ([one, study / "sub/$b.h5"], {"out/my scan", "out/$b"}),
        ([study / "sub"], {"out/$b"}),
        ([study], {"out/my scan", "out/sub/$b"}),
    ):
        tasks, _ = Asked(sources, study / "out").tasks()
        assert {task.folder.relative_to(study).as_posix() for task in tasks} == folders


def test_tasks_hold_in_any_folder(study, monkeypatch):
    monkeypatch.chdir(study)
    (study / "site.xml").write_text("<configuration/>")
    (task,), _ = Asked([Path("sub")], Path("out"), config="site.xml").tasks()
    assert (task.raw, task.folder) == (study / "sub/$b.h5", study / "out/$b")
    assert task.config == str(study / "site.xml")


def test_a_command_has_all_options_and_can_be_typed(study):
    asked = Asked(
        [study],
        study / "the results",
        config="fast",
        overrides={"mask.method": "bet", "identity.patient_name": "{protocol} 'b'"},
        server=("::1", 9002),
        scheduler="slurm",
        jobs=3,
    )
    options = ["--config", "fast", "--set", "mask.method=bet", "--set"]
    options += [
        "identity.patient_name={protocol} 'b'",
        "--server",
        "::1:9002",
        "--scheduler",
        "slurm",
    ]
    where = ["gadgetron-qsm", "replay", str(study), "--output", str(study / "the results")]
    assert shlex.split(asked.command()) == [*where, *options, "--jobs", "3", "--resume"]
    task = next(task for task in asked.tasks()[0] if task.name == "sub/$b")
    alone = ["gadgetron-qsm", "replay", str(study / "sub/$b.h5"), "--output"]
    alone += [str(study / "the results/sub/$b")]
    assert shlex.split(asked.command_of(task)) == [*alone, *options, "--jobs", "3"]


def test_jobs_are_told_of_one_scan_where_slurm_needs_them(study):
    for scheduler, words in (("slurm", ["--jobs", "3"]), ("local", []), (None, [])):
        asked = Asked([study], study / "out", scheduler=scheduler, jobs=3)
        command = shlex.split(asked.command_of(asked.tasks()[0][0]))
        assert [word for word in command if word in ("--jobs", "3")] == words


def test_a_name_that_looks_like_an_option_is_none(study, monkeypatch):
    monkeypatch.chdir(study)
    Path("-o.h5").touch()
    asked = Asked([Path("-o.h5")], Path("out"))
    for command in (asked.command(), asked.command_of(asked.tasks()[0][0])):
        assert shlex.split(command)[2] == "./-o.h5"


def test_a_key_is_in_no_command(study):
    asked = Asked([study], study / "out", overrides={"identity.key": "the secret of this site"})
    for command in (asked.command(), asked.command_of(asked.tasks()[0][0])):
        assert "secret" not in command
        assert "'identity.key=***'" in command


def test_wrong_settings_are_told_before_anything_is_looked_at(study):
    with pytest.raises(UsageError, match="inversion"):
        Asked([study / "none"], study, overrides={"inversion.iterations": "many"}).tasks()
