"""Where the chain computes, that it is the same everywhere, what is done without room."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from gadgetron_qsm import chain, placing
from gadgetron_qsm.arrays import on_device
from gadgetron_qsm.arrays.places import Gpu, Host
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.placing import fetched, where
from gadgetron_qsm.rehearsal import HEADER, readouts
from gadgetron_qsm.sections import DeviceSettings, InversionSettings
from gadgetron_qsm.settings import Settings

SAME = 1e-3  # relative difference of maps, as the arithmetic's order may differ


@pytest.fixture(autouse=True)
def _opened_anew():
    placing._opened.cache_clear()
    yield
    placing._opened.cache_clear()


def maps(use, **settings):
    """The maps of a ball by name, computed where `use` says."""
    wanted = Settings.from_properties({"device.use": use, **settings})
    scans = chain.combine(readouts(), Header.parse(HEADER), wanted)
    return {m.name: m for m in chain.susceptibility(scans, wanted)}


@pytest.mark.parametrize("preset", ["fast", "standard"])
def test_maps_are_the_same_wherever_they_are_computed(device, preset):  # noqa: ARG001
    here, there = maps("cpu", preset=preset), maps("gpu", preset=preset)
    assert there["chi"].report["provenance"]["device"]["method"] != "computed on CPU"
    assert not there["chi"].report["warnings"]
    for name, of_host in here.items():
        off = np.linalg.norm(there[name].data - of_host.data)
        assert off < SAME * np.linalg.norm(of_host.data), name


def test_without_cupy_the_cpu_is_taken_and_that_is_said_once(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with caplog.at_level(logging.INFO):
        places = [where(DeviceSettings()) for _ in range(3)]
    assert all(isinstance(place, Host) for place in places)
    assert caplog.text.count("computing on the CPU: CuPy is not there") == 1


def test_a_device_that_must_be_used_and_is_missing_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(QsmError, match=r"^CuPy is not there: .*; set device.use=auto"):
        where(DeviceSettings(use="gpu"))


def test_the_cpu_is_taken_when_it_is_asked_for(device):  # noqa: ARG001
    assert isinstance(where(DeviceSettings(use="cpu")), Host)
    assert isinstance(where(DeviceSettings()), Gpu)


def test_maps_that_do_not_fit_the_device_are_computed_on_the_cpu(device, monkeypatch):  # noqa: ARG001
    method = InversionSettings.METHODS["ss_tv"]

    def narrow(field, *of, iterations: int = 30, **more):
        if on_device(field):
            raise MemoryError("out of memory allocating 9 bytes")
        return method(field, *of, iterations=iterations, **more)

    monkeypatch.setitem(InversionSettings.METHODS, "ss_tv", narrow)
    chi = maps("gpu")["chi"]
    assert chi.report["provenance"]["device"]["method"] == "computed on CPU"
    (warning,) = chi.report["warnings"]
    assert warning.endswith("has too little free memory: the maps were computed on the CPU")
    assert np.isfinite(chi.data).all()


def test_a_dataclass_is_fetched_with_all_its_arrays(device):
    @dataclass(frozen=True)
    class Inner:
        x: object

    @dataclass(frozen=True)
    class Outer:
        inner: Inner
        y: object
        name: str

    x = np.arange(3)
    found = fetched(Outer(Inner(device(x)), x, "both"))
    np.testing.assert_array_equal(found.inner.x, x)
    assert found.y is x
    assert found.name == "both"
