"""Some of the streams of `python -m tests.faults.mutations`, and the judge who judges them."""

from __future__ import annotations

import struct

import pytest

from gadgetron_qsm.mrd.messages import Close, Error, Text
from tests import encoded
from tests.faults import small_scan
from tests.faults.judge import judge
from tests.faults.mutations import left_behind, outcomes
from tests.faults.spoilt import MUTATORS, spoilt
from tests.recorded import cut

CLOSE = encoded.message(Close())


@pytest.mark.parametrize("command", ["serve", "gadget"])
@pytest.mark.parametrize("seed", range(2))
def test_spoilt_streams_end_soon_with_an_error_line_or_a_series(impatient_by, command, seed):
    server = impatient_by(command)
    seen = list(outcomes(server, seed, range(40)))
    wrong = {f"{o.number}, {o.done}": o.problems for o in seen if o.problems}
    assert wrong == {}
    assert left_behind(server) == []
    assert {"error line", "series"} <= {outcome.ending for outcome in seen}


def test_a_seed_and_a_number_make_the_same_stream_again():
    assert spoilt(3, 7) == spoilt(3, 7) != spoilt(3, 8)
    done = {name for n in range(300) for name in spoilt(0, n).done.split(": ")[1].split(", ")}
    assert done == set(MUTATORS)


@pytest.fixture(scope="module")
def series(impatient_by):
    """What comes back for the scan as it is."""
    with impatient_by("serve").client() as peer:
        peer.send(b"".join(small_scan.stream()))
        return peer.answer().raw


def test_the_whole_scan_is_judged_to_be_well(series):
    verdict = judge(b"".join(small_scan.stream()), series + CLOSE, "")
    assert (verdict.ending, verdict.problems) == ("series", [])


@pytest.mark.parametrize(
    ("sent", "answer", "log", "problem"),
    [
        (small_scan.stream()[:-2], None, "", "1 lines of repetition 0 are missing, unsaid"),
        (small_scan.stream("slices")[:-3], None, "", "2 lines of repetition 0 are missing"),
        (small_scan.stream(), b"", "", "ended without CLOSE"),
        (small_scan.stream()[:2], CLOSE, "", "a scan had begun and nothing was said"),
        (small_scan.stream(), None, "Traceback\nKeyError: 1", "a fault of ours: KeyError: 1"),
        (small_scan.stream(), None, "of Doe^Jane", "names the patient"),
        (small_scan.stream(), encoded.message(Error("two\nlines")) + CLOSE, "", "not one line"),
        (small_scan.stream(), 2 * encoded.message(Error("twice")) + CLOSE, "", "not one line"),
    ],
)
def test_what_is_wrong_is_seen(series, sent, answer, log, problem):
    (found,) = judge(b"".join(sent), series + CLOSE if answer is None else answer, log).problems
    assert found.startswith(problem)


def test_a_map_that_was_asked_for_and_did_not_come_is_seen(series):
    chi, _, *magnitude = cut(series + CLOSE)
    stream = b"".join(small_scan.stream())
    (found,) = judge(stream, b"".join([chi, *magnitude]), "").problems
    assert found.startswith("maps of repetition 0 are ")
    warned = encoded.message(Text("WARNING no r2star map: it needs at least two echoes"))
    assert judge(stream, b"".join([chi, warned, *magnitude]), "").problems == []


def test_pixels_that_are_no_numbers_are_seen(series):
    spoilt_series = series[:-4] + struct.pack("<f", float("nan"))
    (found,) = judge(b"".join(small_scan.stream()), spoilt_series + CLOSE, "").problems
    assert found == "magnitude is not finite"
