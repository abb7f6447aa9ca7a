"""gadgetron-qsm outbox list|retry|export|send."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gadgetron_qsm import cli
from gadgetron_qsm.delivery import letters, queue, sender
from gadgetron_qsm.delivery.deliver import folder_of
from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.queue import Recipient
from gadgetron_qsm.delivery.terms import Terms
from tests.delivery.archive import Archive
from tests.delivery.clock import until
from tests.delivery.series import check, instance_uid, slices, uids
from tests.delivery.servers import StoreScp

ARCHIVE = Node.parse("archive=PACS@10.0.0.5:11112")
CONSOLE = Node.parse("console=CSA@10.0.0.6:104")
PATIENT = ("Doe", "Jane", "P-17")


@pytest.fixture
def call(monkeypatch, capsys):
    """A function that runs a command as the shell would; gives exit status and what it prints."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gadgetron-qsm", "outbox", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        return status, "".join(capsys.readouterr())

    monkeypatch.setenv("COLUMNS", "200")
    return run


@pytest.fixture(autouse=True)
def archive(monkeypatch):
    """What the commands reach."""
    reached = Archive()
    monkeypatch.setattr(sender, "Network", lambda: reached.network)
    monkeypatch.setattr(sender, "POLL_S", 0.05)
    return reached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The default outbox, with three objects that wait and two dead letters."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = folder_of(None)
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 2), [ARCHIVE], Terms())
        for entry in queue.waiting(outbox, "archive"):
            queue.refused(outbox, Recipient(ARCHIVE, Terms()), entry.key, "no such class")
        outbox.put(slices(8, 3), [ARCHIVE], Terms())
        queue.postponed(outbox, Recipient(ARCHIVE, Terms()), "nobody listens", [])
    return folder


def waiting(folder, name="archive"):
    with Outbox(folder) as outbox:
        return [entry.instance_uid for entry in queue.waiting(outbox, name)]


def test_the_default_outbox_is_in_the_state_folder_of_the_user(folder, tmp_path, monkeypatch):
    assert folder == tmp_path / "gadgetron-qsm" / "outbox"
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert folder_of(None) == Path.home() / ".local/state/gadgetron-qsm/outbox"
    assert folder_of(Path("here")) == Path.cwd() / "here"


def test_list_tells_what_waits_and_why(call):
    status, text = call("list")
    assert status == 0
    waits, tried, dead, refused, *_ = (line.strip() for line in text.splitlines())
    assert waits.split()[:7] == ["archive", "waiting", "3", "objects,", "0.0", "MB,", "since"]
    assert tried.startswith("attempts 1, next in ")
    assert tried.endswith(" s: nobody listens")
    assert dead.split()[:3] == ["archive", "dead", "2"]
    assert refused == "attempts 1: no such class"


def test_list_fits_80_columns(folder, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with Outbox(folder) as outbox:
        why = "nobody listens at archive.radiology.hospital.example:11112; start the node, or " * 2
        queue.postponed(outbox, Recipient(ARCHIVE, Terms()), why, [])
        outbox.put(slices(9, 1), [Node.parse(f"{'n' * 30}=PACS@10.0.0.5:11112")], Terms())
    _, text = call("list")
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "".join(why.split()) in "".join(text.split())


def test_list_names_dead_letters_without_a_word_about_the_patient(call):
    _, text = call("list")
    heading = "dead: archive: series 7 'QSM_chi 7 RESEARCH': no such class"
    expected = [heading, *(f"    {uid}" for uid in uids(7, 2))]
    assert expected == text.splitlines()[4:-1]
    assert not any(word in text for word in PATIENT)


def test_list_names_the_first_instances_of_a_series_that_is_dead(folder, call):
    with Outbox(folder) as outbox:
        outbox.put(slices(7, 9), [ARCHIVE], Terms())
        for entry in queue.waiting(outbox, "archive"):
            queue.refused(outbox, Recipient(ARCHIVE, Terms()), entry.key, "no such class")
    _, text = call("list")
    assert "    and 4 more, which --json lists" in text.splitlines()


def test_list_counts_what_was_confirmed(call):
    call("retry")
    assert call("list") == (0, "nothing waits; confirmed: archive 5\n")


def test_list_for_programs_says_the_same(call):
    status, text = call("list", "--json")
    found = json.loads(text)
    assert status == 0
    assert [(w["node"], w["state"], w["objects"]) for w in found["deliveries"]] == [
        ("archive", "waiting", 3),
        ("archive", "dead", 2),
    ]
    assert [letter["instance_uid"] for letter in found["dead"]] == uids(7, 2)
    assert found["confirmed"] == {}


def test_list_makes_no_outbox(tmp_path, call):
    status, text = call("list", "--outbox", tmp_path / "none")
    assert (status, text) == (0, f"nothing waits: there is no outbox {tmp_path / 'none'}\n")
    assert json.loads(call("list", "--json", "--outbox", tmp_path / "none")[1])["deliveries"] == []
    assert not (tmp_path / "none").exists()


def test_retry_sends_everything_now_dead_letters_too(archive, call):
    assert call("retry") == (0, "")
    assert archive.order == [*uids(7, 2), *uids(8, 3)]


def test_retry_fails_with_one_line_a_node_when_something_still_waits(folder, archive, call):
    with Outbox(folder) as outbox:
        outbox.put(slices(9, 1), [CONSOLE], Terms())
    archive.down = "still nobody"
    status, text = call("retry")
    assert status == 1
    told = [line for line in text.splitlines() if not line.startswith("20")]  # not the log
    assert [line for line in told if "objects waiting" in line] == [
        "archive: 5 objects waiting: still nobody",
        "console: 1 objects waiting: still nobody",
    ]


def test_retry_of_a_node_leaves_the_dead_letters_of_others(folder, call):
    with Outbox(folder) as outbox:
        outbox.put(slices(9, 1), [CONSOLE], Terms())
    status, _ = call("retry", "--node", "console")
    assert status == 0
    with Outbox(folder) as outbox:
        assert {letter.node for letter in letters.dead(outbox)} == {"archive"}


def test_retry_of_a_node_that_is_not_there_names_those_that_are(call):
    status, text = call("retry", "--node", "arkive")
    assert status == 2
    assert "no node 'arkive' in the outbox; there are archive" in text


def test_retry_takes_corrected_settings(archive, call):
    moved = "archive=PACS@10.9.9.9:104"
    settings = ["store.nodes=" + moved, "store.timeout_s=3", "store.calling_title=US"]
    assert call("retry", *(word for text in settings for word in ("--set", text)))[0] == 0
    assert archive.nodes == [Node.parse(moved)]
    assert call("retry", "--set", "store.timeout_s=3")[0] == 2


def test_retry_without_an_outbox_is_told(tmp_path, call):
    status, text = call("retry", "--outbox", tmp_path / "none")
    assert (status, text.count("\n")) == (1, 1)
    assert "there is no outbox" in text


def test_export_writes_what_waits_and_keeps_it(folder, tmp_path, call):
    target = tmp_path / "files"
    assert call("export", target) == (0, f"5 objects written to {target}\n")
    written = sorted(target.iterdir())
    expected = [*uids(7, 2), *uids(8, 3)]
    assert [path.stem for path in written] == expected
    assert [check(path.read_bytes()) for path in written] == expected
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    with Outbox(folder) as outbox:
        assert sum(line.objects for line in letters.lines(outbox)) == 5


def test_export_takes_dead_letters_out_when_told_to(tmp_path, call, archive):
    target = tmp_path / "files"
    status, text = call("export", target, "--dead", "--remove")
    assert (status, text) == (0, f"2 objects written to {target}, and removed\n")
    assert sorted(path.stem for path in target.iterdir()) == uids(7, 2)
    call("retry")
    assert archive.order == uids(8, 3)


def test_a_dead_letter_taken_out_of_one_node_still_goes_to_another(folder, tmp_path, call, archive):
    with Outbox(folder) as outbox:
        outbox.put(slices(8, 1), [CONSOLE], Terms())
        (entry,) = queue.waiting(outbox, "console")
        queue.refused(outbox, Recipient(CONSOLE, Terms()), entry.key, "no")
    call("export", tmp_path / "files", "--dead", "--remove")
    call("retry")
    assert archive.order == uids(8, 3)


def test_export_for_a_node_leaves_the_others_theirs(folder, tmp_path, call):
    with Outbox(folder) as outbox:
        outbox.put(slices(8, 3), [CONSOLE], Terms())
    call("export", tmp_path / "files", "--node", "archive", "--remove")
    with Outbox(folder) as outbox:
        assert [(line.node, line.objects) for line in letters.lines(outbox)] == [("console", 3)]
        assert [check(e.read()) for e in queue.waiting(outbox, "console")] == uids(8, 3)


def test_nothing_is_taken_out_when_the_files_cannot_be_written(folder, tmp_path, call):
    (tmp_path / "file").write_text("")
    status, text = call("export", tmp_path / "file" / "files", "--remove")
    assert status == 1
    assert "cannot write" in text
    with Outbox(folder) as outbox:
        assert sum(line.objects for line in letters.lines(outbox)) == 5


def test_a_damaged_object_is_told_and_the_others_are_exported(folder, tmp_path, call):
    with Outbox(folder) as outbox, outbox.transaction() as db:
        db.execute("UPDATE object SET crc32 = 0 WHERE instance_uid = ?", (instance_uid(8, 2),))
    status, text = call("export", tmp_path / "files")
    assert status == 1
    assert "1 objects are damaged" in text
    assert len(list((tmp_path / "files").iterdir())) == 4


def test_send_stays_until_it_is_told_to_end(tmp_path):
    folder = tmp_path / "outbox"
    with StoreScp(tmp_path) as storescp:
        node = f"store.nodes={storescp.node}"
        code = "from gadgetron_qsm.cli import main; main()"
        command = [sys.executable, "-c", code, "outbox", "send", "--outbox", str(folder)]
        command += ["--set", node]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline().startswith("sending what waits in ")
            with Outbox(folder) as outbox:
                outbox.put(slices(7, 3), [storescp.node], Terms(Caller("US")))
            until(lambda: len(storescp.instances()) == 3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
