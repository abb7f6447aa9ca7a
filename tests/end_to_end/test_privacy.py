"""No line of a log, no metric, no name of a file says whose a scan is, whatever fails."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

import h5py
import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import evt

from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER
from tests.delivery.peers import scripted
from tests.delivery.servers import free_port
from tests.end_to_end.peers import COMMAND, Gadget, Server
from tests.end_to_end.telling import (
    BROKEN,
    BY_SCHEMA,
    CONFIG,
    HALF,
    HEADER,
    NAME,
    READOUTS,
    TELLING,
    config,
    failing,
    stream,
)


def assert_nothing_told(*texts):
    for text in texts:
        assert not (found := TELLING.search(text)), text[max(0, found.start() - 300) : found.end()]


def names(folder):
    """The paths of all files and folders in a folder."""
    return "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def refusing():
    """An archive that takes nothing, and quotes the patient in its answers."""

    def refuse(_):
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xA900, NAME
        return answer

    with scripted([(evt.EVT_C_STORE, refuse)]) as node:
        yield node


@pytest.fixture
def site(tmp_path):
    """Settings that have everything made of a scan."""
    return {
        "preset": "fast",
        "device.use": "cpu",
        "deliver.dicom_folder": tmp_path / "dicom",
        "deliver.report_folder": tmp_path / "reports",
    }


@pytest.fixture
def started(tmp_path):
    """A function that starts a server with settings, at its most verbose."""
    with contextlib.ExitStack() as servers:

        def start(command, settings):
            path = tmp_path / "site.xml"
            path.write_text(config(settings).text)
            server = Server(command, tmp_path, "--config", str(path), general=["-v"])
            servers.callback(server.end)
            return server

        yield start


def answer_to(server, sent):
    with server.client() as peer:
        peer.send(sent)
        return peer.answer()


def run(*arguments):
    """Run a command; return all that it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return ended.stdout


def test_a_server_says_nothing_of_patients_in_success_and_in_failure(
    started, site, refusing, tmp_path
):
    metrics = free_port()
    settings = site | {
        "health.metrics_port": metrics,
        "health.log_format": "json",
        "store.nodes": refusing,
        "store.outbox": tmp_path / "outbox",
    }
    server = started("serve", settings)
    assert answer_to(server, stream()).map("chi").data.any()
    for what, sent in failing().items():
        answer = answer_to(server, sent)
        assert answer.maps or answer.refusals, what
        assert_nothing_told(*answer.refusals)
    with server.client() as peer:
        peer.send(stream()[:500_000])
        peer.die()
    asked = run("health", "--port", server.port, "--config", tmp_path / "site.xml")
    told = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10).read().decode()
    log = wait_for(lambda: server.log, "are not delivered to node")
    lines = [json.loads(line) for line in log.splitlines()]
    ended = [line["summary"] for line in lines if "summary" in line]
    outcomes = [summary["outcome"] for summary in ended]
    assert ended[0]["objects"].keys() == {"deliver.dicom_folder", "store.outbox"}
    assert ended[0]["maps"] == {"chi": 1, "r2star": 1, "magnitude": 3}
    assert outcomes.count("done") >= 1
    assert outcomes.count("failed") >= 8
    assert f'gadgetron_qsm_scans_total{{outcome="failed"}} {outcomes.count("failed")}.0' in told
    assert "were refused by" in asked
    assert "[hidden]" in log
    box = run("outbox", "list", "--outbox", tmp_path / "outbox")
    files = names(tmp_path)
    assert "QSM_chi" in files
    assert_nothing_told(log, told, asked, box, files)


def wait_for(read, words):
    """Read until the words are there."""
    end = time.monotonic() + 30
    while words not in (text := read()):
        assert time.monotonic() < end, text
        time.sleep(0.05)
    return text


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Every process fails to make DICOM objects, and quotes the patient."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BROKEN)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("command", ["serve", "gadget"])
def test_tracebacks_quote_nobody(started, site, command):
    server = started(command, site)
    answer = answer_to(server, stream(CONFIG if command == "serve" else config(site)))
    log = wait_for(lambda: server.log, "scan failed")
    assert len(answer.maps) > 1  # what failed does not keep the maps back
    assert "ValueError: cannot file [hidden]" in log
    assert "KeyError in quote (its text may quote the scan" in log
    assert_nothing_told(log)


@pytest.mark.usefixtures("broken")
def test_a_process_that_gadgetron_starts_says_nothing_either(site, tmp_path, monkeypatch):
    monkeypatch.setenv("GADGETRON_EXTERNAL_LOG_LEVEL", "DEBUG")

    def log_of(**scan):
        gadget = Gadget("qsm", tmp_path)
        try:
            gadget.send(stream(config(site), **scan))
            assert_nothing_told(*gadget.answer().refusals)
            gadget.status(within_s=30)
        finally:
            gadget.end()
        return gadget.log

    made, refused = log_of(header=BY_SCHEMA), log_of(header=BY_SCHEMA, readouts=HALF)
    assert "ValueError: cannot file [hidden]" in made
    assert "lines are missing" in refused
    assert_nothing_told(made, refused)
    # what the gadgetron package prints before it asks us cannot be helped, but can be told of
    assert "1 values of this scan's header are not what its schema wants" in log_of()
    assert "what its schema wants" not in made


@pytest.fixture
def raw(tmp_path):
    """The scan in a file, and one of half of it."""
    complex_, trajectory = h5py.vlen_dtype(np.float32), h5py.vlen_dtype(np.float32)
    dtype = np.dtype([("head", ACQUISITION_HEADER), ("traj", trajectory), ("data", complex_)])
    for name, kept in (("whole", READOUTS), ("half", HALF)):
        records = np.empty(len(kept), dtype)
        for record, readout in zip(records, kept, strict=True):
            record["head"], record["traj"] = readout.head, np.zeros(0, np.float32)
            record["data"] = readout.data.ravel().view(np.float32)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["dataset/xml"] = np.array([HEADER.encode()], h5py.string_dtype())
            file["dataset/data"] = records
    return tmp_path


def test_replay_says_nothing_of_patients(raw, tmp_path):
    options = ["--set", "preset=fast", "--set", "store.nodes=A@127.0.0.1:1",
               "--set", f"store.outbox={tmp_path / 'box'}"]  # fmt: skip
    said = [
        run("-v", "replay", raw / f"{name}.h5", "--output", tmp_path / name, *options)
        for name in ("whole", "half")
    ]
    assert "nobody listens" in said[0]
    assert "lines are missing" in said[1]
    assert "rehearse" not in said[0]
    assert_nothing_told(*said, names(tmp_path))
