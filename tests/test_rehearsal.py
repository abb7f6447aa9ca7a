from __future__ import annotations

import logging

import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.rehearsal import rehearse
from gadgetron_qsm.settings import Settings


@pytest.mark.parametrize("preset", ["fast", "standard"])
def test_a_rehearsal_makes_the_maps_of_a_scan_and_warns_of_nothing(caplog, preset):
    with caplog.at_level(logging.INFO):
        rehearse(Settings.from_properties({"preset": preset}))
    (record,) = caplog.records
    assert record.message.startswith("rehearsed 5 maps")  # chi, R2*, three magnitudes


def test_a_rehearsal_combines_compressed_coils(monkeypatch):
    scans = []
    combine = chain.combine
    monkeypatch.setattr(chain, "combine", lambda *of: scans.append([*combine(*of)]) or scans[0])
    rehearse(Settings())
    (echoes,) = scans[0]
    assert echoes.report["provenance"]["kspace"]["coil_compression"] == "gcc"


def test_a_rehearsal_writes_no_series(tmp_path):
    rehearse(Settings.from_properties({"deliver.dicom_folder": str(tmp_path)}))
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_the_ball_alone_is_kept_quiet(caplog):
    settings = {"reference.region": "csf", "kspace.virtual_coils": "64"}
    rehearse(Settings.from_properties({"reference.region": "csf"}))
    rehearse(Settings.from_properties(settings))
    assert not caplog.records


def test_a_rehearsal_that_fails_stops_nothing(monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(chain, "combine", fail)
    with caplog.at_level(logging.INFO):
        rehearse(Settings())
    assert "the rehearsal failed: RuntimeError: no room" in caplog.text
