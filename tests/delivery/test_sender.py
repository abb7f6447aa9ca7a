"""What waits goes out: in order, once, whatever the nodes do, and one process at a time."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import contextmanager

import pytest

from gadgetron_qsm.delivery import letters, queue, sender
from gadgetron_qsm.delivery.attempt import Attempt, Network
from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.terms import Terms
from tests.delivery.archive import Archive, sending
from tests.delivery.clock import Clock, until
from tests.delivery.series import check, instance_uid, slices, uids

ARCHIVE = Node.parse("archive=PACS@10.0.0.5:11112")
CONSOLE = Node.parse("console=CSA@10.0.0.6:104")
TERMS = Terms()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def outbox(folder):
    with Outbox(folder) as opened:
        yield opened


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture(autouse=True)
def _looking_often(monkeypatch):
    monkeypatch.setattr(sender, "POLL_S", 0.05)


@contextmanager
def both(archive, console):
    """A network of two nodes."""

    def store(node, caller, objects):
        return (archive if node.name == "archive" else console).store(node, caller, objects)

    yield Network(store, archive.ask, archive.listener)


def flush(folder, archive, **options):
    return Sender(folder, network=archive.network, **options).flush(20)


def states(outbox):
    return [(line.node, line.state, line.objects) for line in letters.lines(outbox)]


def test_all_objects_go_out_in_order_over_one_association(outbox, folder, archive):
    outbox.put(slices(7, 30), [ARCHIVE], TERMS)
    assert flush(folder, archive) == []
    assert archive.order == uids(7, 30)
    assert [check(data) for data in archive.received.values()] == uids(7, 30)
    assert archive.associations == 1


def test_what_is_put_goes_out_at_once_in_the_background(outbox, folder, archive):
    with sending(folder, archive.network) as sender_:
        for series in (7, 8):
            outbox.put(slices(series, 3), [ARCHIVE], TERMS)
            sender_.notify()
            until(lambda series=series: archive.order[-3:] == uids(series, 3))
        until(lambda: states(outbox) == [])


def test_what_another_process_puts_is_noticed(outbox, folder, archive):
    with sending(folder, archive.network):
        outbox.put(slices(7, 3), [ARCHIVE], TERMS)
        until(lambda: archive.order == uids(7, 3))


def test_a_node_that_breaks_off_gets_the_rest_later_and_nothing_twice(outbox, folder, archive):
    outbox.put(slices(7, 9), [ARCHIVE], TERMS)
    archive.chokes = {instance_uid(7, 5)}
    (line,) = flush(folder, archive)
    assert (line.state, line.objects, line.error) == ("waiting", 5, "it broke off")
    archive.chokes = set()
    assert flush(folder, archive) == []
    assert set(archive.times.elements()) == set(uids(7, 9))
    assert max(archive.times.values()) == 1


def test_an_object_on_which_a_node_breaks_off_does_not_keep_the_others(outbox, folder, archive):
    outbox.put(slices(7, 4), [ARCHIVE], TERMS)
    archive.chokes = {instance_uid(7, 1)}
    flush(folder, archive)
    flush(folder, archive)
    assert archive.order == uids(7, 4)[1:]


def test_many_objects_that_a_node_puts_off_do_not_keep_the_others(
    outbox, folder, archive, monkeypatch
):
    monkeypatch.setattr(queue, "MOST_A_BATCH", 3)
    outbox.put(slices(7, 5), [ARCHIVE], TERMS)
    archive.puts_off = set(uids(7, 3))
    flush(folder, archive)
    flush(folder, archive)
    assert archive.order == uids(7, 5)[3:]


def test_a_refused_object_is_a_dead_letter_and_the_others_arrive(outbox, folder, archive, caplog):
    outbox.put(slices(7, 4), [ARCHIVE], TERMS)
    archive.refuses = dict.fromkeys((instance_uid(7, 2), instance_uid(7, 4)), "no such class here")
    flush(folder, archive)
    assert archive.order == [instance_uid(7, 1), instance_uid(7, 3)]
    assert [letter.instance_uid for letter in letters.dead(outbox)] == list(archive.refuses)
    assert {letter.error for letter in letters.dead(outbox)} == {"no such class here"}
    flush(folder, archive)
    assert archive.associations == 1
    said = "2 objects are not delivered to node 'archive': no such class here; see 'gadgetron-qsm "
    assert [record.message for record in caplog.records] == [f"{said}outbox list'"]


def test_a_dead_letter_of_one_node_is_still_sent_to_another(outbox, folder, archive):
    console = Archive()
    outbox.put(slices(7, 2), [ARCHIVE, CONSOLE], TERMS)
    archive.refuses = dict.fromkeys(uids(7, 2), "no")
    with both(archive, console) as network:
        Sender(folder, network=network).flush(20)
    assert console.order == uids(7, 2)
    assert states(outbox) == [("archive", "dead", 2)]


def test_a_node_that_does_not_answer_keeps_no_other_waiting(outbox, folder, archive):
    console, held = Archive(), threading.Event()
    archive.before = lambda _: held.wait(20) and None
    outbox.put(slices(7, 3), [ARCHIVE, CONSOLE], TERMS)
    with both(archive, console) as network, sending(folder, network):
        until(lambda: console.order == uids(7, 3))
        outbox.put(slices(8, 3), [CONSOLE], TERMS)
        until(lambda: console.order == uids(7, 3) + uids(8, 3))
        assert archive.order == []
        held.set()


def test_one_line_is_logged_for_an_attempt(outbox, folder, archive, caplog):
    archive.down = "nobody listens at 10.0.0.5:11112; start it"
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    with sending(folder, archive.network):
        until(lambda: archive.associations == 1)
        until(lambda: bool(caplog.records))
    (record,) = caplog.records
    said = "3 objects wait for node 'archive': nobody listens at 10.0.0.5:11112; start it; next "
    assert record.message.startswith(said)


def test_nothing_is_tried_before_a_pause_is_over(outbox, folder, archive):
    clock = Clock()
    archive.down = "no"
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    with sending(folder, archive.network, clock=clock) as sender_:
        until(lambda: archive.associations == 1)
        archive.down = ""
        for seconds in (0, 3.5):
            clock.pass_s(seconds)
            sender_.notify()
            threading.Event().wait(0.1)
            assert archive.associations == 1
        clock.pass_s(3)
        sender_.notify()
        until(lambda: archive.order == uids(7, 3))


def test_what_a_node_does_not_take_for_days_is_given_up_and_kept(folder, archive, caplog):
    clock = Clock()
    archive.down = "closed"
    with Outbox(folder, clock) as outbox:
        outbox.put(slices(7, 2), [ARCHIVE], Terms(give_up_days=2))
        for days in (0, 1, 0.9):
            clock.pass_s(days * 86400)
            flush(folder, archive, clock=clock)
            assert states(outbox) == [("archive", "waiting", 2)]
        outbox.put(slices(8, 1), [ARCHIVE], Terms(give_up_days=2))
        clock.pass_s(0.2 * 86400)
        flush(folder, archive, clock=clock)
        assert states(outbox) == [("archive", "waiting", 1), ("archive", "dead", 2)]
        assert "2 objects for node 'archive' were given up: closed" in caplog.text
        archive.down = ""
        letters.revive(outbox)
        assert flush(folder, archive, clock=clock) == []
    assert set(archive.order) == {*uids(7, 2), *uids(8, 1)}


def test_a_bug_in_storing_is_told_and_everything_waits(outbox, folder, archive, caplog):
    def broken(_uid):
        raise ZeroDivisionError("oops")

    archive.before = broken
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    (line,) = flush(folder, archive)
    assert line.objects == 2
    assert line.error.startswith("ZeroDivisionError in broken (its text")  # may quote values
    assert "Traceback" in caplog.text


def test_a_bug_elsewhere_does_not_end_the_sending(outbox, folder, archive, monkeypatch, caplog):
    monkeypatch.setattr(sender, "POLL_S", 0.05)
    with monkeypatch.context() as broken, sending(folder, archive.network):
        broken.setattr(queue, "due", lambda _: 1 / 0)
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        until(lambda: "ZeroDivisionError" in caplog.text)
        broken.undo()
        until(lambda: archive.order == uids(7, 1))
    assert caplog.text.count("Traceback") == 1


def test_a_flush_that_is_interrupted_leaves_nothing_that_sends(
    outbox, folder, archive, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    flushing = Sender(folder, network=archive.network)
    monkeypatch.setattr(flushing, "_untried", interrupt)
    with pytest.raises(KeyboardInterrupt):
        flushing.flush(20)
    assert "outbox" not in {thread.name for thread in threading.enumerate()}


def test_one_of_several_senders_sends_and_another_takes_over(outbox, folder):
    first, second = Archive(), Archive()
    with sending(folder, second.network):
        pass  # which makes the folder and ends
    with sending(folder, first.network) as leading:
        outbox.put(slices(7, 2), [ARCHIVE], TERMS)
        until(lambda: first.order == uids(7, 2))
        with sending(folder, second.network):
            outbox.put(slices(8, 2), [ARCHIVE], TERMS)
            until(lambda: first.order == uids(7, 2) + uids(8, 2))
            assert leading.stop(10)
            outbox.put(slices(9, 2), [ARCHIVE], TERMS)
            until(lambda: second.order == uids(9, 2))
    assert first.order == uids(7, 2) + uids(8, 2)


def test_a_flush_waits_for_the_one_who_sends(outbox, folder):
    sending_one, flushing_one = Archive(), Archive()
    sending_one.down = "not yet"
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    with sending(folder, sending_one.network):
        until(lambda: sending_one.associations == 1)
        (line,) = flush(folder, flushing_one)
        assert (line.objects, line.error) == (2, "not yet")
        sending_one.down = ""
        assert flush(folder, flushing_one) == []
    assert sending_one.order == uids(7, 2)
    assert flushing_one.associations == 0


def test_a_flush_ends_in_time_though_a_node_hangs(outbox, folder, archive):
    held = threading.Event()
    archive.before = lambda _: held.wait(20) and None
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    flushing = Sender(folder, network=archive.network)
    (line,) = flushing.flush(0.3)
    assert line.objects == 2
    held.set()
    assert flushing.stop(10)
    assert archive.order == uids(7, 1)  # the object in flight


def test_to_stop_ends_after_the_object_in_flight(outbox, folder, archive):
    reached, held = threading.Event(), threading.Event()

    def hold(uid):
        if uid == instance_uid(7, 3):
            reached.set()
            held.wait(20)

    archive.before = hold
    outbox.put(slices(7, 9), [ARCHIVE], TERMS)
    with sending(folder, archive.network) as sender_:
        assert reached.wait(10)
        threading.Timer(0.2, held.set).start()
        assert not sender_.stop(0)
        assert sender_.stop(10)
    assert archive.order == uids(7, 3)
    assert states(outbox) == [("archive", "waiting", 6)]


@pytest.fixture
def full(monkeypatch):
    """Return an event that makes the disk full while it is set."""
    full, transaction = threading.Event(), Outbox.transaction

    @contextmanager
    def failing(self):
        with transaction(self) as db:
            if full.is_set():
                raise sqlite3.OperationalError("database or disk is full")
            yield db

    monkeypatch.setattr(Outbox, "transaction", failing)
    monkeypatch.setattr(sender, "REST_S", 0.05)
    return full


def test_an_answer_that_a_full_disk_does_not_take_is_kept_before_anything_is_sent(
    outbox, folder, archive, full, caplog
):
    outbox.put(slices(7, 4), [ARCHIVE], TERMS)
    archive.before = lambda uid: uid == instance_uid(7, 2) and full.set()
    with sending(folder, archive.network):
        until(lambda: caplog.text.count("disk is full") >= 3)
        assert archive.order == uids(7, 2)
        archive.before = lambda _: None
        full.clear()
        until(lambda: states(outbox) == [])
    assert archive.order == uids(7, 4)
    assert "nothing is sent to node 'archive': the outbox" in caplog.text


def test_an_answer_that_is_not_kept_confirms_nothing_in_another_outbox(
    outbox, folder, archive, full, caplog
):
    outbox.put(slices(7, 4), [ARCHIVE], TERMS)
    archive.before = lambda uid: uid == instance_uid(7, 2) and full.set()
    with sending(folder, archive.network):
        until(lambda: "disk is full" in caplog.text)
        shutil.rmtree(folder)
        full.clear()
        with Outbox(folder) as another:
            another.put(slices(8, 4), [ARCHIVE], TERMS)
            until(lambda: states(another) == [])
    assert archive.order[-4:] == uids(8, 4)


def test_a_damaged_object_becomes_a_dead_letter_and_the_others_go_out(outbox, folder, archive):
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    with outbox.transaction() as db:
        db.execute("UPDATE object SET crc32 = 0 WHERE instance_uid = ?", (instance_uid(7, 2),))
    flush(folder, archive)
    assert archive.order == [instance_uid(7, 1), instance_uid(7, 3)]
    assert [letter.instance_uid for letter in letters.dead(outbox)] == [instance_uid(7, 2)]


def test_an_object_taken_out_meanwhile_is_not_sent(outbox, folder, archive):
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)

    def take_out(uid):
        if uid == instance_uid(7, 1):
            letters.remove(outbox_, [queue.waiting(outbox_, "archive")[1].key])

    archive.before = take_out
    with Outbox(folder) as outbox_:
        (recipient,) = queue.due(outbox_)
        Attempt(outbox_, recipient, archive.network, lambda: False).run()
    assert archive.order == [instance_uid(7, 1), instance_uid(7, 3)]
    assert states(outbox) == []


def test_a_corrected_address_reaches_what_waits(outbox, folder, archive):
    archive.down = "no"
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    with sending(folder, archive.network) as sender_:
        until(lambda: archive.associations == 1)
        archive.down = ""
        moved = Node.parse("archive=PACS@10.0.0.9:4242")
        outbox.configure([moved], TERMS)
        sender_.notify()
        until(lambda: archive.order == uids(7, 1))
    assert archive.nodes == [ARCHIVE, moved]


def test_the_sender_goes_on_with_a_new_file_when_the_outbox_was_set_aside(outbox, folder, archive):
    with sending(folder, archive.network) as sender_:
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        until(lambda: archive.order == uids(7, 1))
        for path in folder.glob("outbox.sqlite*"):
            path.rename(folder / f"aside-{path.name}")
        with Outbox(folder) as another:
            another.put(slices(8, 1), [ARCHIVE], TERMS)
        sender_.notify()
        until(lambda: archive.order == [*uids(7, 1), *uids(8, 1)])


def test_one_sender_sends_when_the_folder_was_deleted_and_made_anew(outbox, folder, archive):
    with sending(folder, archive.network) as sender_:
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        until(lambda: archive.order == uids(7, 1))
        shutil.rmtree(folder)
        with Outbox(folder) as another:
            another.put(slices(8, 1), [ARCHIVE], TERMS)
        sender_.notify()
        until(lambda: archive.order == [*uids(7, 1), *uids(8, 1)])
        with sender._turn(folder) as free:
            assert not free
