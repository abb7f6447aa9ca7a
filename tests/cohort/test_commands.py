"""The command over folders: what is shown, what is left, and going on after an end by force."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gadgetron_qsm.cohort.finished import read_finished
from tests.cohort.conftest import QUICK
from tests.end_to_end.peers import COMMAND
from tests.test_cli import call

OPTIONS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def study(raw, tmp_path_factory):
    """Two scans and a broken one."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "sub 1").mkdir()
    shutil.copy(raw, folder / "sub 1/scan.h5")
    shutil.copy(raw, folder / "scan.h5")
    (folder / "cut.h5").write_bytes(raw.read_bytes()[:-100000])
    return folder


@pytest.fixture(scope="module")
def replayed(study, tmp_path_factory):
    """The results, the exit status and what was printed."""
    folder = tmp_path_factory.mktemp("results") / "out"
    done = run(study, "-o", folder, "--jobs", "2")
    return folder, done


def begin(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "replay", *map(str, arguments), *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def run(*arguments):
    with begin(*arguments) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def cohort(folder):
    return json.loads((folder / "cohort.json").read_text())


def states(folder):
    return {scan["name"]: scan["state"] for scan in cohort(folder)["scans"]}


def maps(folder):
    return {scan["name"]: scan.get("maps") for scan in cohort(folder)["scans"]}


def everything(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_one_broken_file_ends_nothing_but_is_told(replayed):
    folder, done = replayed
    assert states(folder) == {"cut": "failed", "scan": "done", "sub 1/scan": "done"}
    assert (done.returncode, done.stderr) == (
        1, "gadgetron-qsm: 1 of 3 scans failed; see above\n",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert {"begun: cut", "begun: scan", "begun: sub 1/scan"} < set(lines)
    assert [len(row.split("│")) for row in lines if "sub 1/scan │" in row] == [7]
    assert lines[-3:-1] == ["3 scans, 1 failed, 2 done",
                            "failed: cut: cut.h5 is truncated; copy it again"]  # fmt: skip
    assert not list(folder.glob(".*"))


def test_the_whole_is_told_in_json(replayed, study):
    folder, _ = replayed
    told = cohort(folder)
    assert (told["stage"], told["totals"]) == ("ended", {"scans": 3, "failed": 1, "done": 2})
    scan = next(scan for scan in told["scans"] if scan["name"] == "sub 1/scan")
    noted = read_finished(folder / scan["folder"])
    assert scan["maps"] == noted.maps
    assert scan["input"]["sha256"] == noted.input.sha256
    assert scan["raw"] == str(study / "sub 1/scan.h5")


def test_the_command_to_try_again_replays_a_scan_and_resume_finds_it_done(
    replayed, study, raw, tmp_path, capsys
):
    folder = shutil.copytree(replayed[0], tmp_path / "out")
    line = replayed[1].stdout.splitlines()[-1].replace(str(replayed[0]), str(folder))
    prefix = "  try again: gadgetron-qsm "
    assert line.startswith(prefix)
    broken = (study / "cut.h5").read_bytes()
    shutil.copy(raw, study / "cut.h5")
    again = shlex.split(line.removeprefix(prefix))
    try:
        assert call(*again) == 0
        capsys.readouterr()
        assert call(*again, "--resume") == 0
        assert capsys.readouterr().out.startswith(f"kept in {folder}/cut/: dicom, images.h5, ")
        before = everything(folder)
        assert call("replay", study, "-o", folder, *OPTIONS, "--resume") == 0
    finally:
        (study / "cut.h5").write_bytes(broken)
    assert states(folder) == dict.fromkeys(("cut", "scan", "sub 1/scan"), "kept")
    changed = everything(folder).items() - before.items()
    assert {path for path, _ in changed} == {folder / "cohort.json", folder / "cohort.html"}
    assert "3 scans, 3 kept" in capsys.readouterr().out


def test_resume_replays_what_is_not_done_and_a_plan_changes_nothing(replayed, study, tmp_path):
    folder = shutil.copytree(replayed[0], tmp_path / "out")
    (folder / "scan/report.json").unlink()
    os.utime(study / "sub 1/scan.h5")
    before = everything(tmp_path) | everything(study)
    plan = run(study, "-o", folder, "--resume", "--dry-run")
    assert (plan.returncode, plan.stderr) == (0, "")
    assert everything(tmp_path) | everything(study) == before
    rows = [row for row in plan.stdout.splitlines() if row.startswith("│")]
    told = {row.split("│")[1].strip(): row for row in rows}
    assert "replay: results not whole" in told["scan"]
    assert "34 x 42 x 44" in told["scan"]
    assert "keep" in told["sub 1/scan"]
    assert "fails: cut.h5 is truncated" in told["cut"]
    assert call("replay", study, "-o", folder, *OPTIONS, "--resume") == 1
    assert states(folder) == {"cut": "failed", "scan": "done", "sub 1/scan": "kept"}
    assert maps(folder) == maps(replayed[0])


def test_failures_are_listed_where_the_page_cannot_be_written(study, tmp_path, capsys):
    (tmp_path / "out/cohort.html").mkdir(parents=True)
    assert call("replay", study / "cut.h5", study / "none.h5", "-o", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert told.out.count("  try again: ") == 2
    assert "cohort.html" in told.err


def test_a_plan_makes_no_folder(study, tmp_path):
    assert call("replay", study, "-o", tmp_path / "out", *OPTIONS, "--dry-run") == 0
    assert not (tmp_path / "out").exists()


def test_a_plan_tells_of_a_file_of_siemens_whether_it_can_be_converted(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "meas.dat").write_bytes(bytes(4) + b"\x02" + bytes(1000))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    asked = ("replay", tmp_path, "-o", tmp_path / "out", "--dry-run")
    assert call(*asked) == 0
    assert "fails: meas.dat needs siemens_to_ismrmrd" in capsys.readouterr().out
    (tmp_path / "siemens_to_ismrmrd").touch(0o755)
    assert call(*asked) == 0
    assert "replay: new" in capsys.readouterr().out


def test_a_plan_tells_what_scans_are_called_in_a_dataset(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    asked = ("replay", study / "sub 1", "-o", tmp_path / "out", "--bids", tmp_path / "bids")
    assert call(*asked, "--dry-run") == 0
    assert "sub-scan" in capsys.readouterr().out
    assert not (tmp_path / "bids").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_folder_that_is_no_dataset_is_refused_before_any_scan(study, tmp_path, capsys, dry):
    (tmp_path / "notes.txt").touch()
    assert call("replay", study, "-o", tmp_path / "out", "--bids", tmp_path, *dry) == 1
    told = capsys.readouterr()
    assert "it is no BIDS dataset; name another folder" in told.err
    assert "begun" not in told.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scheduler", ["nowhere", "slurm"])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_is_no_scheduler_is_refused_and_leaves_nothing(study, tmp_path, scheduler, dry):
    asked = ("replay", study, "-o", tmp_path / "out", "--scheduler", scheduler)
    assert call(*asked, *dry) == 2
    assert not (tmp_path / "out").exists()


def test_names_are_not_folded_where_no_terminal_is(study, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = tmp_path / "sub-01/ses-baseline"
    folder.mkdir(parents=True)
    (folder / "sub-01_ses-baseline_run-1.h5").hardlink_to(study / "scan.h5")
    assert call("replay", tmp_path, "-o", tmp_path / "out", "--dry-run") == 0
    assert " sub-01/ses-baseline/sub-01_ses-baseline_run-1 " in capsys.readouterr().out


def children(process):
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_to(process, text):
    """Read what is printed until a line begins so."""
    for line in process.stdout:
        if line.startswith(text):
            return
    pytest.fail(f"no line begins with '{text}'")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_ends_at_once_and_says_how_to_go_on(study, tmp_path, capsys, number):
    with begin(study / "sub 1", "-o", tmp_path / "out", "--jobs", "1") as process:
        read_to(process, "begun: scan")
        assert call("replay", study, "-o", tmp_path / "out") == 1
        assert "another replay writes into" in capsys.readouterr().err
        workers = children(process.pid)
        start = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (128 + number, "")
    assert time.monotonic() - start < 10
    said = out.splitlines()[-1]
    assert said.startswith("interrupted; to go on: gadgetron-qsm replay")
    assert said.endswith(" --resume")
    until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}").exists()])
    assert (cohort(tmp_path / "out")["stage"], states(tmp_path / "out")) == (
        "interrupted", {"scan": "begun"},
    )  # fmt: skip
    assert read_finished(tmp_path / "out/scan") is None


def test_a_replay_that_is_killed_takes_its_processes_along_and_goes_on(replayed, study, tmp_path):
    folder, chance = tmp_path / "out", random.Random(7)
    for jobs, end in (("2", "begun: "), ("1", "done: ")):
        with begin(study, "-o", folder, "--resume", "--jobs", jobs) as process:
            read_to(process, end)
            time.sleep(chance.uniform(0, 1))
            workers = children(process.pid)
            process.kill()
            process.communicate(timeout=20)
        until(lambda: not [w for w in workers if Path(f"/proc/{w}").exists()])  # noqa: B023
        assert cohort(folder)["stage"] == "running"
    assert run(study, "-o", folder, "--resume").returncode == 1
    assert maps(folder) == maps(replayed[0])
    assert set(states(folder).values()) <= {"failed", "kept", "done"}
