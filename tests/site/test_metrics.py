"""What Prometheus is told, read with its own parser."""

from __future__ import annotations

import socket
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.terms import Terms
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import scans, site_metrics
from gadgetron_qsm.site.metrics import Metrics
from gadgetron_qsm.site.summary import ScanSummary
from gadgetron_qsm.site.watch import watching
from tests.delivery.objects import objects
from tests.site.connection import connected

NODE = "A@127.0.0.1:1"
SCAN = ScanSummary(
    scan="0a1b2c3d",
    outcome="done",
    ended_at=1.8e9,
    seconds=300.0,
    readouts=1880,
    data_bytes=12_000_000,
    repetitions=1,
    maps={"chi": 1, "magnitude": 3},
    stages_s={"ingest": 290.0, "field": 2.0},
    latency_s=4.0,
    peak_memory_bytes=7_000_000_000,
    warnings=2,
    objects={"store.outbox": 40},
)


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.read().decode()


def samples(text):
    """The value of each sample, by name and labels."""
    return {
        (sample.name.removeprefix("gadgetron_qsm_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(metrics):
    return samples(generate_latest(metrics.registry).decode())


def test_every_family_has_a_type_a_text_and_the_name_of_the_program():
    metrics = Metrics(Settings())
    metrics.note(SCAN)
    with metrics.served(0) as port:
        families = list(text_string_to_metric_families(page(port)))
    names = [family.name for family in families]
    assert len(names) == len(set(names)) > 15
    assert all(n.startswith(("gadgetron_qsm_", "process_")) for n in names), names
    assert all(family.documentation and family.type != "unknown" for family in families)


def test_scans_add_up():
    metrics = Metrics(Settings())
    metrics.note(SCAN)
    metrics.note(ScanSummary(**asdict(SCAN)))  # as a worker's pipe brings it
    metrics.note(ScanSummary("ffff0000", "failed", 1.9e9, 1.0, readouts=20, error="no echo times"))
    metrics.note(ScanSummary.unseen("refused", 0.0, "busy"))
    found = told(metrics)
    assert found["scans_total", "done"] == 2
    assert found["scans_total", "refused"] == 1
    assert found["scans_total", "failed"] == 1
    assert found["scans_total", "killed"] == 0
    assert found["readouts_total",] == 2 * 1880 + 20
    assert found["received_bytes_total",] == 24e6
    assert found["maps_total", "magnitude"] == 6
    assert found["objects_total", "store.outbox"] == 80
    assert found["warnings_total",] == 4
    assert found["memory_peak_bytes",] == 7e9
    assert found["last_success_timestamp_seconds",] == 1.8e9
    assert (found["stage_seconds_count", "field"], found["stage_seconds_sum", "field"]) == (2, 4)
    assert (found["latency_seconds_bucket", "3.0"], found["latency_seconds_bucket", "5.0"]) == (
        0,
        2,
    )
    assert not any(name.endswith("_created") for name, *_ in found)


def test_the_parent_tells_how_much_runs():
    metrics = Metrics(Settings())
    metrics.running.set(3)
    metrics.workers.set(4)
    found = told(metrics)
    assert (found["scans_running",], found["workers",]) == (3, 4)


def test_the_machine_is_looked_at_when_prometheus_asks(tmp_path):
    settings = Settings.from_properties(
        {
            "spool.folder": str(tmp_path / "spool"),
            "store.nodes": NODE,
            "store.outbox": str(tmp_path / "box"),
        }
    )
    metrics = Metrics(settings)
    found = told(metrics)
    assert found["spool_bytes",] == 0
    assert found["disk_free_bytes", "spool.folder"] > 0
    assert found["outbox_usable",] == 1
    assert not (tmp_path / "box").exists()

    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "scan.h5").write_bytes(bytes(1000))
    with Outbox(tmp_path / "box") as outbox:
        outbox.put([each.file for each in objects(3)], [Node.parse(NODE)], Terms())
    found = told(metrics)
    assert found["spool_bytes",] == 1000
    assert found["outbox_objects", "A", "waiting"] == 3
    assert found["outbox_oldest_timestamp_seconds", "A", "waiting"] > 1.7e9


def test_an_outbox_that_fails_is_told_and_keeps_nothing_else_back(tmp_path):
    (tmp_path / "outbox.sqlite").mkdir()
    settings = Settings.from_properties({"store.nodes": NODE, "store.outbox": str(tmp_path)})
    found = told(Metrics(settings))
    assert found["outbox_usable",] == 0
    assert found["scans_total", "done"] == 0


def test_an_outbox_of_another_user_is_told_as_one_that_fails(tmp_path, monkeypatch):
    def forbidden(_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "outbox.sqlite").touch()
    monkeypatch.setattr(site_metrics, "Outbox", forbidden)
    settings = Settings.from_properties({"store.nodes": NODE, "store.outbox": str(tmp_path)})
    assert told(Metrics(settings))["outbox_usable",] == 0


def test_nobody_but_this_machine_can_ask():
    with Metrics(Settings()).served(0) as port:
        _, *lines = Path("/proc/net/tcp").read_text().splitlines()
        listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
        assert [at for at in listening if at.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0  # it has ended


def a_site(port):
    return Settings.from_properties({"device.use": "cpu", "health.metrics_port": str(port)})


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_port_in_use_stops_the_start():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(QsmError, match=r"health\.metrics_port: cannot listen on 127\.0\.0\.1"),
        watching(a_site(listener.getsockname()[1])),
    ):
        pass


def test_scans_of_a_watched_process_are_noted():
    port = free_port()
    with watching(a_site(port)):
        with scans.scanning(connected()):
            scans.made("chi")
        scans.tell(SCAN)  # of a worker
        found = samples(page(port))
    assert (found["scans_total", "done"], found["maps_total", "chi"]) == (2, 2)


def test_without_a_port_nothing_listens():
    with watching(Settings.from_properties({"device.use": "cpu"})) as metrics:
        assert metrics is None
