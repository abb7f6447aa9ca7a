"""The lines of the log: what each has, and what none has."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import logs, scans
from tests.site.connection import connected

log = logging.getLogger("gadgetron_qsm.some.module")
CONNECTION = connected()
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def lines(capsys, monkeypatch):
    """A function that sets the log up and returns one that reads what has been written."""

    def start(form="text", level=logging.DEBUG):
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # without pytest's own
        logs.set_up(logs.Options(level, form))
        return lambda: capsys.readouterr().err.splitlines()

    return start


def test_a_line_of_text_has_time_level_process_scan_and_logger(lines):
    read = lines()
    log.info("%d maps", 3)
    with scans.scanning(CONNECTION) as scan:
        log.warning("hello")
    before, within, _end = read()
    head = rf"{TIME} INFO {os.getpid()} - gadgetron_qsm\.some\.module: 3 maps"
    assert re.fullmatch(head, before)
    head = rf"{TIME} WARNING {os.getpid()} {scan.id} gadgetron_qsm\.some\.module: hello"
    assert re.fullmatch(head, within)


def test_a_line_of_json_has_the_same_by_name_and_the_numbers_of_the_scan(lines):
    read = lines("json")
    with scans.scanning(CONNECTION) as scan:
        scans.made("chi")
        log.warning("Ärger")
    first, end = map(json.loads, read())
    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {
        "level": "WARNING",
        "process": os.getpid(),
        "logger": "gadgetron_qsm.some.module",
        "message": "Ärger",
        "scan": scan.id,
    }
    assert end["summary"]["outcome"] == "done"
    assert end["summary"]["maps"] == {"chi": 1}


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_the_header_says_is_cut_out_of_lines_and_tracebacks(lines, form):
    read = lines(form)
    with scans.scanning(CONNECTION):
        log.info("the archive says: no %s here", "Zebedee")
        try:
            raise ValueError("Zebedee is no number")
        except ValueError:
            log.exception("it failed")
    told = "\n".join(read())
    assert "Zebedee" not in told
    assert "the archive says: no [hidden] here" in told
    assert "ValueError: [hidden] is no number" in told
    assert "test_what_the_header_says_is_cut_out" in told  # the place


def test_a_long_message_is_cut_after_it_was_searched(lines):
    read = lines()
    with scans.scanning(CONNECTION):
        log.info("%sZebedee", "x " * (logs.LONGEST // 2 - 2))
    assert "Zeb" not in read()[0]


def test_a_message_makes_no_line_of_its_own_and_steers_no_terminal(lines):
    read = lines()
    log.info("name\n2026-01-01T00:00:00.000Z ERROR\x1b[2J\r\x9b gone")
    first, second = read()
    assert first.endswith("name")
    assert second == "    2026-01-01T00:00:00.000Z ERROR?[2J?? gone"


def test_libraries_are_withheld_and_those_that_chat_are_not_heard(lines):
    read = lines()
    logging.getLogger("pydicom").warning("invalid name 'Zebedee'")
    logging.getLogger("pydicom").info("Zebedee")
    logging.getLogger().error("Zebedee")
    told = read()
    assert len(told) == 2
    assert "a message of pydicom at test_logs.py:" in told[0]
    assert not logging.getLogger("numba").isEnabledFor(logging.DEBUG)  # it costs minutes


@pytest.mark.filterwarnings("default")
def test_a_warning_is_told_without_its_text(lines):
    read = lines()
    warnings.warn("invalid name 'Zebedee'", UserWarning, stacklevel=1)
    (line,) = read()
    assert re.search(r"UserWarning in site/test_logs\.py:\d+$", line)


def test_a_line_that_cannot_be_made_quotes_nothing(lines):
    read = lines()
    log.info("%d readouts", "Zebedee")
    (line,) = read()
    assert re.fullmatch(r"a line of test_logs\.py:\d+ cannot be made", line)


def test_a_closed_stderr_stops_nothing(lines, monkeypatch):
    lines()
    with Path(os.devnull).open("w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    log.info("nobody reads this")


def test_what_a_thread_does_not_catch_is_in_the_log(lines):
    read = lines()
    thread = threading.Thread(target=lambda: {}["key"])
    thread.start()
    thread.join(5)
    told = read()
    assert "CRITICAL" in told[0]
    assert told[-1] == "    KeyError: 'key'"


def test_what_ends_the_process_is_in_the_log():
    code = "from gadgetron_qsm.site import logs; logs.set_up(logs.Options(form='json')); {}['key']"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["exception"].endswith("KeyError: 'key'")
    assert ended.returncode == 1


JSON = Settings.from_properties({"health.log_format": "json"}).health


def test_settings_choose_the_form_unless_an_option_did(lines):
    read = lines()
    logs.adopt(JSON)
    log.info("hello")
    assert json.loads(read()[0])["message"] == "hello"
    logs.set_up(logs.Options(logging.INFO, "text", fixed=True))
    logs.adopt(JSON)
    assert logs.options().form == "text"


@pytest.mark.parametrize(
    ("asked", "level"), [("DEBUG", 10), ("warning", 30), ("loud", 20), (None, 20)]
)
def test_a_gadgetron_says_how_much_is_told(monkeypatch, asked, level):
    monkeypatch.delenv(logs.GADGETRON_LEVEL, raising=False)
    if asked:
        monkeypatch.setenv(logs.GADGETRON_LEVEL, asked)
    handler = logging.StreamHandler()  # of the gadgetron package
    logging.getLogger().addHandler(handler)
    logs.set_up_for_gadgetron()
    assert log.getEffectiveLevel() == level
    assert handler not in logging.getLogger().handlers


def test_set_up_twice_tells_each_line_once(lines):
    lines()
    read = lines()
    log.info("once")
    assert len(read()) == 1
