"""What `check` tells of the installation."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm import __version__
from gadgetron_qsm.check import check


def described():
    return {found.what: found.text for found in check(None)}


def test_packages_configurations_and_settings_are_told():
    told = described()
    assert told["gadgetron-qsm"] == __version__
    assert told["numpy"] == np.__version__
    assert "qsm_split" in told["configurations"]
    assert told["inversion.iterations"].startswith("of tv ")


def test_where_it_computes_and_what_waits_in_the_outbox_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "outbox" not in described()
    (tmp_path / "gadgetron-qsm" / "outbox").mkdir(parents=True)
    (tmp_path / "gadgetron-qsm" / "outbox" / "outbox.sqlite").touch()
    told = described()
    assert told["outbox"] == "nothing waits"
    assert "processors" in told["computes on"] or "memory" in told["computes on"]
