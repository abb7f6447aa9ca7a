"""What is put in the outbox is on the disk, whole, once, and for its owner alone."""

from __future__ import annotations

import json
import re
import resource
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from gadgetron_qsm.delivery import letters, queue
from gadgetron_qsm.delivery.database import NAME, VERSION
from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.queue import Recipient, Unreadable
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError
from tests.delivery.clock import Clock
from tests.delivery.series import check, instance_uid, slices, uids

ARCHIVE = Node.parse("archive=PACS@10.0.0.5:11112")
CONSOLE = Node.parse("console=CSA@10.0.0.6:104")
TERMS = Terms()
TO_ARCHIVE = Recipient(ARCHIVE, TERMS)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "outbox"


@pytest.fixture
def outbox(folder):
    with Outbox(folder) as opened:
        yield opened


def waiting(outbox, name="archive"):
    return [entry.instance_uid for entry in queue.waiting(outbox, name)]


def deliver(outbox, recipient=TO_ARCHIVE):
    for entry in queue.waiting(outbox, recipient.name):
        queue.stored(outbox, recipient, entry.key)


def test_what_is_put_waits_in_its_order_for_every_node_and_is_what_was_put(outbox):
    assert outbox.put(slices(7, 3), [ARCHIVE, CONSOLE], TERMS) == 6
    for name in ("archive", "console"):
        assert [check(entry.read()) for entry in queue.waiting(outbox, name)] == uids(7, 3)


def test_bytes_of_files_are_taken_as_they_are(outbox):
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    files = [entry.read() for entry in queue.waiting(outbox, "archive")]
    outbox.put(files, [CONSOLE], TERMS)
    assert [entry.read() for entry in queue.waiting(outbox, "console")] == files


@pytest.mark.parametrize("data", [b"", b"no DICOM" * 99])
def test_bytes_that_are_no_object_are_refused(outbox, data):
    with pytest.raises(QsmError, match="no DICOM object"):
        outbox.put([data], [ARCHIVE], TERMS)


def test_a_uid_that_would_leave_a_folder_is_refused(outbox):
    (dataset,) = slices(7, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells
        dataset.SOPInstanceUID = "../1"
        with pytest.raises(QsmError, match="UID"):
            outbox.put([dataset], [ARCHIVE], TERMS)


def test_a_series_that_fails_in_the_middle_leaves_nothing(outbox):
    def failing():
        yield from slices(7, 3)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is ours
        outbox.put(failing(), [ARCHIVE], TERMS)
    assert letters.lines(outbox) == []


def test_everything_is_there_when_the_outbox_is_opened_again(folder):
    with Outbox(folder) as first:
        first.put(slices(7, 3), [ARCHIVE], TERMS)
    with Outbox(folder) as second:
        assert waiting(second) == uids(7, 3)


def test_only_the_owner_reads_it(outbox, folder):
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len(list(folder.glob(f"{NAME}*"))) > 1  # the log has the patient's data too


def test_what_a_node_confirmed_it_never_gets_again(outbox):
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    deliver(outbox)
    assert outbox.put(slices(7, 4), [ARCHIVE], TERMS) == 1
    assert waiting(outbox) == [instance_uid(7, 4)]


def test_what_one_node_confirmed_another_still_gets(outbox):
    outbox.put(slices(7, 2), [ARCHIVE, CONSOLE], TERMS)
    deliver(outbox)
    outbox.tidy()
    assert waiting(outbox, "archive") == []
    assert [check(entry.read()) for entry in queue.waiting(outbox, "console")] == uids(7, 2)


def test_what_was_confirmed_is_forgotten_after_a_year(folder):
    clock = Clock()
    with Outbox(folder, clock) as outbox:
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        deliver(outbox)
        for days, deliveries in ((364, 0), (2, 1)):
            clock.pass_s(days * 86400)
            outbox.forget()
            assert outbox.put(slices(7, 1), [ARCHIVE], TERMS) == deliveries


def test_an_object_that_is_put_again_while_it_waits_waits_once(outbox):
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    assert waiting(outbox) == uids(7, 2)


def test_a_dead_letter_that_is_put_again_waits_again(outbox):
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    queue.refused(outbox, TO_ARCHIVE, queue.waiting(outbox, "archive")[0].key, "no such class")
    assert waiting(outbox) == []
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    assert waiting(outbox) == uids(7, 1)


def test_room_goes_back_to_the_disk(folder):
    def size():
        return sum(path.stat().st_size for path in folder.iterdir())

    with Outbox(folder) as outbox:
        before = size()
        outbox.put(slices(7, 20, side=256), [ARCHIVE], TERMS)
        outbox.put(slices(8, 1), [CONSOLE], TERMS)
        assert size() > 20 * 131072
        deliver(outbox)
        outbox.tidy()
        assert size() < before + 65536
        assert waiting(outbox, "console") == uids(8, 1)


def test_addresses_and_terms_of_the_latest_settings_reach_what_waits(outbox):
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    moved = Node.parse("archive=tls:PACS2@pacs.example:2762")
    caller = Caller("SCANNER", ca_file=Path("/etc/ca.pem"), timeout_s=7)
    terms = Terms(caller, 3, commitment=True, commitment_port=4242)
    outbox.configure([moved], terms)
    assert queue.due(outbox) == [Recipient(moved, terms)]


def test_a_corrected_address_ends_the_pause_and_the_same_one_does_not(outbox):
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    queue.postponed(outbox, TO_ARCHIVE, "nobody listens", [])
    outbox.configure([ARCHIVE], TERMS)
    assert queue.due(outbox) == []
    outbox.configure([Node.parse("archive=PACS@10.0.0.7:11112")], TERMS)
    assert len(queue.due(outbox)) == 1


def test_pauses_of_a_node_double_from_5_s_to_15_minutes(folder):
    clock = Clock()
    with Outbox(folder, clock) as outbox:
        outbox.put(slices(7, 1), [ARCHIVE, CONSOLE], TERMS)
        pauses = []
        for _ in range(12):
            pauses.append(queue.postponed(outbox, TO_ARCHIVE, "down", []).pause_s)
            assert [r.name for r in queue.due(outbox)] == ["console"]
            clock.pass_s(pauses[-1])
            assert {r.name for r in queue.due(outbox)} == {"archive", "console"}
    expected = [min(5 * 2**i, 900) for i in range(12)]
    assert all(0.8 <= pause / e <= 1.2 for pause, e in zip(pauses, expected, strict=True))
    assert len({pause / e for pause, e in zip(pauses, expected, strict=True)}) > 1


def test_pauses_start_anew_when_a_node_has_taken_an_object(outbox):
    outbox.put(slices(7, 2), [ARCHIVE], TERMS)
    for _ in range(5):
        queue.postponed(outbox, TO_ARCHIVE, "down", [])
    queue.stored(outbox, TO_ARCHIVE, queue.waiting(outbox, "archive")[0].key)
    assert queue.postponed(outbox, TO_ARCHIVE, "down", []).pause_s <= 6


def test_a_clock_that_was_ahead_does_not_make_objects_wait_for_it(folder):
    clock = Clock()
    with Outbox(folder, clock) as outbox:
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        clock.pass_s(10 * 86400)
        queue.postponed(outbox, TO_ARCHIVE, "down", [])
        clock.pass_s(-10 * 86400)
        assert len(queue.due(outbox)) == 1


def test_an_object_that_the_disk_has_changed_is_not_read(outbox, folder):
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    (entry,) = queue.waiting(outbox, "archive")
    with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as db:
        db.execute("UPDATE object SET data = CAST(replace(hex(data), '0', '1') AS BLOB)")
    with pytest.raises(Unreadable, match="damaged"):
        entry.read()


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_is_set_aside_and_another_takes_its_place(folder, content, caplog):
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 1), [ARCHIVE], TERMS)
        assert waiting(outbox) == uids(7, 1)
    (aside,) = folder.glob(f"{NAME}.damaged-*")
    assert aside.read_bytes() == content
    (record,) = caplog.records
    assert re.search(f"is damaged and was set aside as {aside.name}; get what", record.message)


def test_damage_that_shows_later_is_told_and_the_next_put_succeeds(folder):
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 30, side=64), [ARCHIVE], TERMS)
    data = bytearray((folder / NAME).read_bytes())
    data[8192 : 8192 * 12] = b"\x55" * (8192 * 11)  # behind the first page, which says what it is
    (folder / NAME).write_bytes(data)
    with pytest.raises(QsmError, match="set aside"), Outbox(folder) as outbox:
        outbox.put(slices(8, 1), [ARCHIVE], TERMS)
    with Outbox(folder) as outbox:
        outbox.put(slices(8, 1), [ARCHIVE], TERMS)
        assert waiting(outbox) == uids(8, 1)
    assert len(list(folder.glob(f"{NAME}.damaged-*[0-9]"))) == 1


def test_a_sound_file_is_never_set_aside(outbox, folder):
    outbox.put(slices(7, 1), [ARCHIVE], TERMS)
    with (
        pytest.raises(QsmError, match="replaced while in use"),
        outbox.transaction(),
    ):
        raise sqlite3.DatabaseError("database disk image is malformed")
    assert waiting(outbox) == uids(7, 1)
    assert not list(folder.glob("*damaged*"))


@pytest.mark.parametrize(
    ("pragma", "said"),
    [
        (f"user_version = {VERSION + 1}", "made by a newer gadgetron-qsm"),
        ("application_id = 7", "of another program"),
    ],
)
def test_a_file_of_another_version_or_program_is_refused(folder, pragma, said):
    Outbox(folder).close()
    with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as db:
        db.execute(f"PRAGMA {pragma}")
    with pytest.raises(QsmError, match=said):
        Outbox(folder)
    assert (folder / NAME).exists()


def test_a_full_disk_is_told_in_one_line_and_changes_nothing(outbox, folder):
    outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    (pages,) = outbox.rows("PRAGMA page_count")[0]
    outbox.rows(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(QsmError) as error:
        outbox.put(slices(8, 20, side=64), [ARCHIVE], TERMS)
    told = rf"the outbox {folder} cannot be used: .*full; make room [^\n]*"
    assert re.fullmatch(told, str(error.value))
    assert waiting(outbox) == uids(7, 3)
    outbox.rows("PRAGMA max_page_count = 100000")
    outbox.put(slices(8, 20, side=64), [ARCHIVE], TERMS)
    assert len(waiting(outbox)) == 23


PUT = """
import sys
from pathlib import Path
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.errors import QsmError
from tests.delivery.series import slices
from tests.delivery.test_outbox import ARCHIVE, TERMS
folder, *series = sys.argv[1:]
try:
    for number in map(int, series):
        with Outbox(Path(folder)) as outbox:
            outbox.put(slices(number, 20, side=64), [ARCHIVE], TERMS)
except QsmError as error:
    sys.exit(str(error))
"""


def putting(folder, *series, **options):
    command = [sys.executable, "-c", PUT, str(folder), *map(str, series)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, **options)


def test_a_disk_that_is_full_in_the_middle_of_a_series_keeps_what_was_there(folder):
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 3), [ARCHIVE], TERMS)
    limit = 100_000  # bytes a file; a series has 170 000

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    _, said = putting(folder, 8, preexec_fn=limited).communicate()
    assert said.count("\n") == 1
    assert "make room on its disk" in said
    with Outbox(folder) as outbox:
        assert [check(e.read()) for e in queue.waiting(outbox, "archive")] == uids(7, 3)
        outbox.put(slices(8, 20, side=64), [ARCHIVE], TERMS)
        assert len(waiting(outbox)) == 23


def test_processes_that_put_at_once_all_get_theirs_in(folder):
    processes = [putting(folder, *range(first, first + 5)) for first in (10, 20, 30)]
    assert [process.communicate()[1] for process in processes] == ["", "", ""]
    with Outbox(folder) as outbox:
        found = {check(entry.read()) for entry in queue.waiting(outbox, "archive")}
    series = [*range(10, 15), *range(20, 25), *range(30, 35)]
    assert found == {uid for number in series for uid in uids(number, 20)}


def test_a_place_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QsmError, match=r"cannot be used: .*; make room"):
        Outbox(tmp_path / "file" / "outbox")


def test_a_commit_is_on_the_disk_when_it_returns(outbox):
    assert outbox.rows("PRAGMA synchronous") == [(3,)]  # EXTRA
    assert outbox.rows("PRAGMA journal_mode") == [("wal",)]


def test_terms_come_back_from_their_text():
    terms = Terms(Caller("A", Path("/a"), Path("/b"), Path("/c"), 3), 1.5, True, "10.0.0.1", 99)
    assert Terms.from_text(terms.to_text()) == terms
    assert Terms.from_text(Terms().to_text()) == Terms()
    assert "\n" not in terms.to_text()
    assert json.loads(terms.to_text())["give_up_days"] == 1.5
