"""What `check` tells of the installation."""

from __future__ import annotations

import sys

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


def test_it_says_where_it_computes(device):  # noqa: ARG001 - it puts one in place
    assert described()["computes on"].endswith(" GB are free")


def test_it_says_why_it_computes_on_the_cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert described()["computes on"].startswith("the CPU; CuPy is not there: ")
