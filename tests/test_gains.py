"""The pairs whose times are compared do the same thing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gadgetron_qsm.processors import processors
from tests.benchmarks import gains, pairs

SAME = sorted(set(gains.PAIRS) - {"good size for raw size"})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pairs, "SHAPE", (12, 16, 18))
    monkeypatch.setattr(pairs, "RAW_SHAPE", (11, 13, 17))
    monkeypatch.setattr(pairs, "LINES", 5)
    monkeypatch.setattr(pairs, "COILS", 4)
    monkeypatch.setattr(pairs, "SAMPLES", 20)
    monkeypatch.setattr(gains, "REPEATS", 1)
    monkeypatch.setattr(gains, "LEAST_S", 0.0)


@pytest.mark.parametrize("name", SAME)
def test_both_ways_give_the_same(name):
    with processors():  # from the same arrays, which some of them change
        plain, ours = (gains.PAIRS[name](np.asarray)[way]() for way in range(2))
    np.testing.assert_allclose(plain, ours, atol=1e-5 * np.abs(plain).max())


def test_the_table_has_the_pairs_that_were_asked_for(tmp_path, capsys):
    told = tmp_path / "told.json"
    gains.main(["--json", str(told), "spectrum"])
    assert list(json.loads(told.read_text())["ms"]) == ["half spectrum for whole"]
    assert "half spectrum for whole" in capsys.readouterr().out
