"""With storage commitment an object stays until the archive promises to keep it."""

from __future__ import annotations

import pytest

from gadgetron_qsm.delivery import letters, promises, sender
from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError
from tests.delivery.archive import Archive, sending
from tests.delivery.clock import Clock, until
from tests.delivery.series import instance_uid, slices, uids

ARCHIVE = Node.parse("archive=PACS@10.0.0.5:11112")
TERMS = Terms(Caller("SCANNER"), commitment=True, commitment_host="10.0.0.1", commitment_port=4242)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox(tmp_path, clock):
    with Outbox(tmp_path / "outbox", clock) as opened:
        opened.put(slices(7, 3), [ARCHIVE], TERMS)
        yield opened


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def flush(outbox, archive, clock, monkeypatch):
    monkeypatch.setattr(sender, "REPORT_S", 0.3)

    def once():
        lines = Sender(outbox.folder, network=archive.network, clock=clock).flush(20)
        return [(line.state, line.objects, line.error) for line in lines]

    return once


@pytest.mark.parametrize("way", ["to our listener", "over the same association"])
def test_what_the_archive_promises_to_keep_is_done(outbox, archive, flush, way):
    archive.reports = way
    assert flush() == []
    ((_, asked),) = archive.asked
    assert asked == archive.order == uids(7, 3)
    assert outbox.put(slices(7, 3), [ARCHIVE], TERMS) == 0
    assert outbox.rows("SELECT count(*) FROM object") == [(0,)]


def test_we_listen_where_the_terms_say_and_only_while_something_is_to_be_reported(archive, flush):
    flush()
    (listener,) = archive.listening
    assert listener.place == ("10.0.0.1", 4242, "SCANNER")
    assert not listener.open


def test_nobody_listens_when_nothing_is_waited_for(outbox, archive, clock):
    with sending(outbox.folder, archive.network, clock=clock):
        until(lambda: letters.lines(outbox) == [])
        until(lambda: not archive.listening[0].open)


def test_what_is_not_promised_yet_is_kept_and_not_sent_again(archive, flush):
    archive.reports = "not yet"
    assert flush() == [("sent", 3, "")]
    flush()
    assert archive.order == uids(7, 3)


def test_a_promise_may_come_late_and_in_another_process(outbox, archive, flush):
    archive.reports = "not yet"
    flush()
    (transaction_uid, asked) = archive.asked[0]
    flush()  # which asks again, by another transaction
    promises.reported(outbox, transaction_uid, asked, {})
    assert letters.lines(outbox) == []


def test_a_promise_may_come_after_it_was_given_up(outbox, archive, flush):
    archive.reports = "not yet"
    flush()
    with outbox.transaction() as db:
        db.execute("UPDATE delivery SET state = 'dead'")
    promises.reported(outbox, *archive.asked[0], {})
    assert letters.lines(outbox) == []


def test_a_report_of_loss_leaves_alone_what_is_sent_again_already(outbox, archive, flush):
    archive.reports = "not yet"
    flush()
    transaction_uid, asked = archive.asked[0]
    for _ in range(2):
        promises.reported(outbox, transaction_uid, [], dict.fromkeys(asked, "no room"))
    (line,) = letters.lines(outbox)
    assert (line.state, line.objects, line.attempts) == ("waiting", 3, 1)


def test_what_is_not_kept_waits_again(archive, flush):
    archive.not_kept = {instance_uid(7, 2): "no room"}
    assert flush() == [("waiting", 1, "the node does not keep it: no room")]
    assert archive.order == uids(7, 3)
    archive.not_kept = {}
    assert flush() == []
    assert archive.order == [*uids(7, 3), instance_uid(7, 2)]


def test_what_is_never_kept_becomes_a_dead_letter(outbox, archive, flush):
    archive.not_kept = {instance_uid(7, 2): "no room"}
    for _ in range(promises.MOST_ATTEMPTS):
        flush()
    assert archive.times[instance_uid(7, 2)] == promises.MOST_ATTEMPTS
    (letter,) = letters.dead(outbox)
    assert letter.error == "the node does not keep it: no room"


def test_an_archive_that_does_not_report_is_asked_again_after_an_hour(outbox, archive, clock):
    archive.reports = "not yet"
    with sending(outbox.folder, archive.network, clock=clock) as background:
        until(lambda: len(archive.asked) == 1)
        clock.pass_s(3500)
        background.notify()
        clock.pass_s(200)
        background.notify()
        until(lambda: len(archive.asked) == 2)
    assert archive.asked[0][0] != archive.asked[1][0]
    assert archive.order == uids(7, 3)


def test_a_clock_that_was_ahead_does_not_keep_an_archive_from_being_asked(outbox, archive, clock):
    archive.reports = "not yet"
    with sending(outbox.folder, archive.network, clock=clock) as background:
        until(lambda: len(archive.asked) == 1)
        clock.pass_s(-1e6)
        background.notify()
        until(lambda: len(archive.asked) == 2)


def test_an_archive_that_never_reports_leaves_dead_letters(outbox, archive, clock):
    archive.reports = "not yet"
    with sending(outbox.folder, archive.network, clock=clock) as background:
        for asked in (1, 2, 3):
            until(lambda asked=asked: len(archive.asked) == asked)
            clock.pass_s(4 * 86400)
            background.notify()
        until(lambda: len(letters.dead(outbox)) == 3)
    assert "does not report" in letters.dead(outbox)[0].error


def test_an_archive_that_cannot_be_asked_is_asked_later(archive, flush):
    def breaks(*_):
        archive.down = "it broke off"

    archive.before = lambda uid: uid == instance_uid(7, 3) and breaks()
    assert flush() == [("sent", 3, "it broke off")]
    archive.down = ""
    assert flush() == []
    assert archive.order == uids(7, 3)


def test_a_report_that_nobody_asked_for_changes_nothing(outbox, archive, flush, caplog):
    archive.reports = "not yet"
    flush()
    promises.reported(outbox, "1.2.3", uids(7, 3), {})
    assert [line.objects for line in letters.lines(outbox)] == [3]
    assert "not ours" in caplog.text


def test_a_promise_that_is_wanted_no_more_is_not_waited_for(outbox, archive, flush):
    archive.reports = "not yet"
    flush()
    outbox.configure([ARCHIVE], Terms())
    assert flush() == []
    assert archive.order == uids(7, 3)


def test_objects_are_stored_though_the_port_cannot_be_had(archive, flush, caplog):
    def refuse(*_):
        raise QsmError("port 4242 is taken; choose another store.commitment_port")

    archive.reports = "not yet"
    archive.listener = refuse
    assert flush() == [("sent", 3, "")]
    assert "cannot be reported to us: port 4242 is taken" in caplog.text
