"""What is wrong with a site's machine is found before the first scan comes."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

import gadgetron_qsm
from gadgetron_qsm import cli, configs
from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import archives, disk, selftest
from tests.delivery.objects import objects
from tests.delivery.servers import StoreScp

NOWHERE = "A@127.0.0.1:1"


def found(properties, **options):
    """The findings by what was looked at."""
    settings = Settings.from_properties({"device.use": "cpu", **properties})
    return {each.what: each for each in selftest.selftest(settings, **options)}


def test_a_machine_with_nothing_wrong_has_nothing_to_warn_of():
    findings = found({})
    assert {each.level for each in findings.values()} == {"ok"}
    assert f"gadgetron-qsm {gadgetron_qsm.__version__}" in findings["versions"].text


def test_an_atlas_that_nobody_may_read_keeps_no_server_from_starting(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    asked = {"measure.atlas": str(tmp_path), "measure.folder": str(tmp_path)}
    finding = found(asked)["measure.atlas"]
    assert finding.level == "warning"
    assert f"Permission denied: '{tmp_path}'" in finding.text


FOLDERS = ["deliver.dicom_folder", "deliver.report_folder", "spool.folder"]


@pytest.mark.parametrize("key", FOLDERS)
def test_a_folder_is_tried_without_leaving_anything(tmp_path, key):
    folder = tmp_path / "new" / "folder"
    assert found({key: str(folder)})[key].level == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", FOLDERS)
def test_a_folder_that_cannot_be_made_is_an_error_unless_scans_do_without(tmp_path, key):
    (tmp_path / "file").write_text("")
    finding = found({key: str(tmp_path / "file" / "folder")})[key]
    assert finding.level == ("warning" if key == "spool.folder" else "error")
    assert "Not a directory" in finding.text


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    full = Path("/dev/full")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full.open("wb"))
    finding = found({"deliver.dicom_folder": str(tmp_path)})["deliver.dicom_folder"]
    assert (finding.level, "No space left" in finding.text) == ("error", True)


def test_little_room_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 4_000_000_000)
    finding = found({"spool.folder": str(tmp_path), "spool.limit_gb": "3"})["spool.folder"]
    assert (finding.level, "4.0 GB left" in finding.text) == ("warning", True)


@pytest.mark.parametrize(("limit_gb", "warned"), [("7.9", False), ("8.1", True)])
def test_a_spool_larger_than_its_disk_is_a_warning(tmp_path, monkeypatch, limit_gb, warned):
    monkeypatch.setattr(disk, "free_bytes", lambda _: 7_000_000_000)
    with (tmp_path / "scan.h5").open("wb") as file:
        os.truncate(file.fileno(), 1_000_000_000)  # sparse
    findings = found({"spool.folder": str(tmp_path), "spool.limit_gb": limit_gb})
    assert ("spool.limit_gb" in findings) is warned


def test_without_cupy_the_cpu_is_told_with_the_reason(monkeypatch):
    monkeypatch.setattr(selftest, "GPUS", ())
    finding = found({"device.use": "auto", "device.number": "63"})["computes on"]
    assert finding.level == "ok"
    assert finding.text.startswith("the CPU")
    assert "there is no CUDA device 63" in finding.text or "CuPy" in finding.text


def test_a_gpu_that_is_not_used_is_a_warning(monkeypatch):
    monkeypatch.setattr(selftest, "GPUS", ("dev/null",))
    finding = found({"device.use": "auto", "device.number": "63"})["computes on"]
    assert (finding.level, "has a GPU" in finding.text) == ("warning", True)


def test_a_gpu_that_settings_demand_and_is_not_there_is_an_error():
    finding = found({"device.use": "gpu", "device.number": "63"})["computes on"]
    assert (finding.level, "device.use=auto" in finding.text) == ("error", True)


@pytest.mark.usefixtures("device")
def test_a_gpu_is_told_with_its_memory_and_versions():
    finding = found({"device.use": "auto"})["computes on"]
    assert finding.level == "ok"
    assert "GB of its memory are free; CuPy" in finding.text


@pytest.mark.usefixtures("device")
def test_versions_of_cuda_are_written_as_people_know_them(request):
    if "gpu" in request.node.name:
        pytest.skip("of the stand-in")
    assert found({"device.use": "gpu"})["computes on"].text.endswith(
        "CuPy 13.6.0, CUDA 12.4, a driver for CUDA 13.0"
    )


def test_a_clock_before_the_installation_is_a_warning(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert selftest.clock().level == "warning"


def test_a_key_that_cannot_be_read_is_an_error_and_a_certificate_a_warning(tmp_path):
    nix = str(tmp_path / "nix")
    findings = found(
        {"identity.deidentify": "true", "identity.key_file": nix, "store.ca_file": nix}
    )
    levels = {key: each.level for key, each in findings.items() if each.level != "ok"}
    assert levels == {"identity.key_file": "error", "store.ca_file": "warning"}


def test_an_archive_that_answers_is_told(program, tmp_path):
    program("storescp")
    with StoreScp(tmp_path) as server:
        findings = found({"store.nodes": str(server.node), "store.outbox": str(tmp_path / "box")})
    assert findings["archive"].level == "ok"


def test_an_archive_that_is_down_is_a_warning(tmp_path):
    finding = found({"store.nodes": NOWHERE, "store.outbox": str(tmp_path)})["archive"]
    assert (finding.level, "what is for it waits" in finding.text) == ("warning", True)


def a_site(folder):
    return {"store.nodes": NOWHERE, "store.outbox": str(folder)}


def put(folder, hours_ago):
    with Outbox(folder, clock=lambda: selftest.time.time() - 3600 * hours_ago) as outbox:
        outbox.put([each.file for each in objects(1)], [Node.parse(NOWHERE)], Terms())


@pytest.mark.parametrize(("hours", "level"), [(0.5, "ok"), (2, "warning")])
def test_what_waits_too_long_is_a_warning(tmp_path, hours, level):
    put(tmp_path, hours)
    finding = found(a_site(tmp_path), nodes=False)["outbox"]
    assert (finding.level, "1 objects wait for 'A'" in finding.text) == (level, True)


def test_dead_letters_are_a_warning(tmp_path):
    put(tmp_path, 0)
    with Outbox(tmp_path) as outbox, outbox.transaction() as db:
        db.execute("UPDATE delivery SET state = 'dead', error = 'no room'")
    finding = found(a_site(tmp_path), nodes=False)["outbox"]
    assert finding.level == "warning"
    assert "were refused by 'A': no room; see 'gadgetron-qsm outbox list'" in finding.text


def test_an_outbox_of_another_program_is_an_error(tmp_path):
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        db.execute("CREATE TABLE theirs (id)")
    db.close()
    assert found(a_site(tmp_path), nodes=False)["outbox"].level == "error"


def forbid(monkeypatch, folder):
    """Have this process find what any other user finds of a folder of mode 0700."""
    real = os.stat

    def stat(path, *more, **options):
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *more, **options)

    monkeypatch.setattr(os, "stat", stat)


def test_an_outbox_of_another_user_is_an_error(tmp_path, monkeypatch):
    forbid(monkeypatch, tmp_path)
    finding = found(a_site(tmp_path), nodes=False)["outbox"]
    assert finding.level == "error"
    assert finding.text.endswith("cannot be read: Permission denied; run as the service's user")


def test_a_configuration_of_another_user_is_refused(tmp_path, monkeypatch):
    forbid(monkeypatch, tmp_path)
    with pytest.raises(UsageError, match=r"site\.xml cannot be read: Permission denied"):
        configs.read(str(tmp_path / "site.xml"))


def test_looking_makes_no_outbox(tmp_path):
    assert "outbox" not in found(a_site(tmp_path), nodes=False)
    assert list(tmp_path.iterdir()) == []


def test_the_start_is_stopped_by_what_no_scan_can_do_without(tmp_path):
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "x")
    settings = Settings.from_properties({"deliver.dicom_folder": folder})
    with pytest.raises(QsmError, match=r"dicom_folder: .* cannot be written: Not a directory"):
        selftest.at_start(settings, device=False)


def test_the_start_is_not_stopped_by_a_spool_that_cannot_be_written(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    settings = Settings.from_properties({"spool.folder": str(tmp_path / "file" / "x")})
    selftest.at_start(settings, device=False)
    assert "spool.folder: " in caplog.text


@pytest.mark.parametrize("command", ["serve", "gadget"])
def test_a_server_that_no_scan_can_succeed_with_does_not_start(tmp_path, capsys, command):
    site = tmp_path / "site.xml"
    site.write_text(
        f'<configuration><property name="deliver.dicom_folder" value="{site}/x"/></configuration>'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gadgetron-qsm", command, "--port", "0", "--config", str(site)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    *_, last = capsys.readouterr().err.splitlines()
    assert end.value.code == 1
    assert last.startswith(f"gadgetron-qsm: deliver.dicom_folder: {site}/x cannot be written: Not")


def test_the_start_does_not_wait_for_archives(tmp_path, monkeypatch, caplog):
    answers, told = threading.Event(), threading.Event()

    def silent(*_):
        assert answers.wait(60)
        told.set()

    monkeypatch.setattr(archives, "echo", silent)
    settings = Settings.from_properties({"device.use": "cpu", **a_site(tmp_path)})
    with caplog.at_level(logging.INFO):
        selftest.at_start(settings)  # returns while the archive is silent
        assert not told.is_set()
        lines = [record.getMessage() for record in caplog.records]
        assert lines[-1].startswith("store.outbox: ")
        answers.set()
        for thread in threading.enumerate():
            if thread.name == "selftest":
                thread.join(60)
    assert "archive: A: it answers" in caplog.text
