"""Two replays do not write into one folder at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gadgetron_qsm.cohort.lock import NAME, alone_in
from gadgetron_qsm.errors import QsmError

HOLD = """
import sys
from pathlib import Path
from gadgetron_qsm.cohort.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_replay_is_refused_until_the_first_ends_in_whichever_way(tmp_path):
    folder = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout.readline() == "held\n"
        refusal = r"another replay writes into .*out; let it end"
        with pytest.raises(QsmError, match=refusal), alone_in(folder):
            pass
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    with alone_in(folder):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_folders_that_were_made_for_nothing_go(tmp_path):
    (tmp_path / "there").mkdir()
    with alone_in(tmp_path / "there/a/b"):
        assert (tmp_path / "there/a/b" / NAME).is_file()
    assert not list((tmp_path / "there").iterdir())


def test_a_lock_that_was_removed_while_it_was_waited_for_is_none(tmp_path, monkeypatch):
    import fcntl

    flock, calls = fcntl.flock, []

    def slow(descriptor, how):
        if not calls:
            (tmp_path / NAME).unlink()  # by a replay that ended between the two
        calls.append(how)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with alone_in(tmp_path):
        assert (tmp_path / NAME).is_file()
    assert len(calls) == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    refusal = r"cannot write in .*; choose a folder"
    with pytest.raises(QsmError, match=refusal), alone_in(tmp_path / "file" / "out"):
        pass
