"""How many scans at once, and which processors and devices each has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gadgetron_qsm import processors
from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.cohort.machine import at_once


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Of eight processors and three CUDA devices."""
    monkeypatch.setattr(processors, "available", lambda: 8)
    monkeypatch.setattr("gadgetron_qsm.arrays.places.devices", lambda: 3)


def asked(jobs=None, server=None, **device):
    overrides = {f"device.{key}": value for key, value in device.items()}
    return Asked([Path("a")], Path("b"), overrides=overrides, server=server, jobs=jobs)


def test_there_is_a_scan_for_each_device():
    assert at_once(asked()) == (3, 3)
    assert at_once(asked(jobs=5)) == (5, 3)


def test_a_device_that_settings_name_is_the_one():
    assert at_once(asked(number="1")) == (1, 0)
    assert at_once(asked(number="1", jobs=2)) == (2, 0)


def test_without_a_device_scans_share_the_processors(monkeypatch):
    for where in (asked(use="cpu"), asked(server=("127.0.0.1", 9002))):
        assert at_once(where) == (8, 0)
    monkeypatch.setenv(processors.OURS, "3")
    assert at_once(asked(use="cpu")) == (3, 0)


def test_processes_that_are_started_meanwhile_have_their_share(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")  # which the user wants
    before = dict(os.environ)
    with processors.sharing(3):
        changed = dict(os.environ.items() - before.items())
        assert processors.threads() == 2
    assert changed == dict.fromkeys(
        (processors.OURS, "NUMBA_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "2"
    )
    assert dict(os.environ) == before
    with processors.sharing(20):
        assert processors.threads() == 1


@pytest.mark.parametrize("nonsense", ["", "0", "-1", "many"])
def test_a_number_of_threads_that_is_none_is_all(monkeypatch, nonsense):
    monkeypatch.setenv(processors.OURS, nonsense)
    assert processors.threads() == 8
