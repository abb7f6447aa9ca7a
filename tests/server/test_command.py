"""What the command does before it serves."""

from __future__ import annotations

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server import command


@pytest.fixture
def jobs(monkeypatch):
    """The jobs of servers that are started, and serve nobody."""
    started = []
    monkeypatch.setattr(command, "run", lambda _host, _port, job, *_, **__: started.append(job))
    return started


def start(config="qsm", **changed):
    properties = {"device.use": "cpu", **changed}
    command.serve("127.0.0.1", 0, config, properties, ready=lambda _: None)


def test_a_spool_that_cannot_be_looked_at_keeps_no_server_from_starting(jobs, monkeypatch, caplog):
    def fails(_):
        raise QsmError("spool.folder cannot be used: Permission denied")

    monkeypatch.setattr(command, "recover", fails)
    start()
    assert len(jobs) == 1
    assert "spool.folder cannot be used" in caplog.text


@pytest.mark.parametrize(("given", "name"), [("{}/site.xml", "site"), ("qsm", "qsm")])
def test_a_job_knows_what_clients_call_the_sites_configuration(jobs, tmp_path, given, name):
    (tmp_path / "site.xml").write_text("<configuration/>")
    start(given.format(tmp_path), preset="fast")
    (job,) = jobs
    assert (job.name, job.properties["preset"]) == (name, "fast")
