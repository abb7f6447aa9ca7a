"""What a terminal shows while scans are replayed."""

from __future__ import annotations

import re
from io import StringIO

from rich.console import Console

from gadgetron_qsm.cohort import shown
from gadgetron_qsm.cohort.task import Began, Failed, Went


def test_long_names_leave_room_for_the_bars_and_the_sum(monkeypatch):
    screen = Console(file=StringIO(), force_terminal=True, width=80, height=25)
    monkeypatch.setattr(shown, "screen", screen)
    name = "sub-01/ses-baseline/sub-01_ses-baseline_acq-highres_run-1"
    with shown.shown(30) as show:
        show(Began("cut"))
        show(Failed("cut", "cut.h5 is truncated"))
        show(Began(name))
        show(Went(name, 0.5))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.file.getvalue())
    *_, whole, scan = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert re.match(r"all +\S+ 1 of 30, 1 failed 0:00:00 [\d:-]+$", whole.strip())
    assert re.match(r"…\S+_acq-highres_run-1 \S+ sending +0:00:00$", scan.strip())
