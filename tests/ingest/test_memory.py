from __future__ import annotations

import logging

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory

SHAPE = (5, 12, 100, 100, 100)  # 0.48 GB, 0.1 of sensitivities, 0.1 combined, 1.5 to work in


def test_the_plan_is_logged(caplog):
    with caplog.at_level(logging.INFO):
        memory.require(SHAPE, 4.0)
    assert "5 echoes x 12 coils" in caplog.text
    assert "need 2.2 GB; 4.0 GB are free" in caplog.text


def test_what_does_not_fit_is_refused():
    with pytest.raises(QsmError, match=r"need 2.2 GB, but 2.0 GB are free.*virtual_coils"):
        memory.require(SHAPE, 2.0)


def test_what_is_free_is_what_the_machine_has_or_less():
    assert 0 < memory.free_bytes() < 1e15


@pytest.mark.parametrize(
    ("limit", "used", "cached", "free"),
    [("1000", "700", "100", 400), ("1000", "1200", "0", 0)],
)
def test_a_container_leaves_no_more_than_its_limit(
    monkeypatch, tmp_path, limit, used, cached, free
):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_bytes() == free


def test_a_container_without_a_limit_has_what_the_machine_has(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_bytes() > 1e6


def test_what_other_scans_have_now_makes_no_scan_impossible(monkeypatch, tmp_path):
    shape = (1, 8, 100, 100, 100)
    monkeypatch.setattr(memory, "free_bytes", lambda: 0.0)
    with pytest.raises(QsmError, match=r"for which 0\.0 GB are not"):
        memory.require_possible(shape, None)
    monkeypatch.setattr(memory, "_reserve", [lambda needed: needed])
    memory.require_possible(shape, None)
    (tmp_path / "memory.max").write_text("100000000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    with pytest.raises(QsmError, match=r"for which 0\.1 GB are not"):
        memory.require_possible(shape, None)
