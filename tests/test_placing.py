"""Where the chain computes, that it is the same everywhere, what is done without room."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from dataclasses import dataclass

import numpy as np
import pytest

from gadgetron_qsm import chain, placing
from gadgetron_qsm.arrays import on_device, to_numpy
from gadgetron_qsm.arrays.places import Gpu, Host
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition
from gadgetron_qsm.placing import fetched, lighter, where
from gadgetron_qsm.rehearsal import HEADER, readouts
from gadgetron_qsm.sections import DeviceSettings, InversionSettings, R2starSettings
from gadgetron_qsm.settings import Settings
from tests.agreement import assert_alike
from tests.device import DeviceArray

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
        assert_alike(there[name].data, of_host.data, here["mask"].data > 0, name)


def test_a_rounding_of_all_data_moves_maps_by_less_than_another_device_may(monkeypatch):
    here, rng = maps("cpu", preset="standard"), np.random.default_rng(0)
    exact = list(readouts())

    def rounded():
        for readout in exact:
            parts = readout.data.view(np.float32)
            up = np.nextafter(parts, np.float32(np.inf))
            data = np.where(rng.random(parts.shape) < 0.5, up, parts).view(np.complex64)
            yield Acquisition(readout.head, data)

    monkeypatch.setattr(sys.modules[__name__], "readouts", rounded)
    there = maps("cpu", preset="standard")
    assert (there["chi"].data != here["chi"].data).any()
    for name, before in here.items():
        assert_alike(there[name].data, before.data, here["mask"].data > 0, name)


def test_maps_that_lie_apart_in_more_than_a_few_voxels_are_told():
    mask, chi = np.ones((4, 25, 20), bool), np.linspace(-1, 1, 2000).reshape(4, 25, 20)
    few, many, broken = chi.copy(), chi.copy(), chi.copy()
    few.flat[:1], many.flat[:4], broken.flat[0] = 9, 9, np.nan
    assert_alike(few, chi, mask)
    assert_alike(chi + 5e-4 * chi.std(), chi, mask)
    for wrong in (many, broken, chi + 2e-3 * chi.std()):
        with pytest.raises(AssertionError):
            assert_alike(wrong, chi, mask)


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


def test_readouts_go_to_the_device_and_only_maps_come_back(device, monkeypatch):  # noqa: ARG001
    combined = []
    combine = chain.combine_coils
    monkeypatch.setattr(
        chain, "combine_coils", lambda images, *of: combined.append(images) or combine(images, *of)
    )
    maps("gpu")
    assert on_device(combined[0].data)


def test_a_scan_that_does_not_fit_the_device_is_combined_in_tiles(device, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(Gpu, "free_bytes", lambda _: 0.5e9)
    here, there = maps("cpu")["chi"], maps("gpu")["chi"]
    kept, combined = there.report["warnings"]
    assert kept.startswith("k-space needs 1.0 GB, more than")
    assert combined.endswith("coils were combined echo by echo")
    assert np.linalg.norm(there.data - here.data) < SAME * np.linalg.norm(here.data)


def test_k_space_that_finds_no_room_on_the_device_is_kept_on_the_host(device, monkeypatch):  # noqa: ARG001
    begin = Assembly.__init__

    def narrow(self, shape, *, like=None, **more):
        if like is not None:
            raise MemoryError("out of memory allocating 9 bytes")
        begin(self, shape, **more)

    here = maps("cpu")["chi"]
    monkeypatch.setattr(Assembly, "__init__", narrow)
    there = maps("gpu")["chi"]
    (warning,) = there.report["warnings"]
    assert warning.endswith("k-space was kept on the host")
    assert np.linalg.norm(there.data - here.data) < SAME * np.linalg.norm(here.data)


def test_a_combination_that_finds_no_room_goes_on_in_tiles_and_then_on_the_cpu(
    device,  # noqa: ARG001
    monkeypatch,
):
    tried = []
    combine = chain.combine_coils

    def narrow(images, *of):
        tried.append(type(images.data).__name__)
        if not isinstance(images.data, np.ndarray):
            raise MemoryError("out of memory allocating 9 bytes")
        return combine(images, *of)

    monkeypatch.setattr(chain, "combine_coils", narrow)
    chi = maps("gpu")["chi"]
    assert tried[1:] == ["Tiles", "ndarray"]
    assert [w.rpartition(": ")[2] for w in chi.report["warnings"]] == [
        "coils were combined echo by echo",
        "coils were combined on the CPU",
    ]


def test_coil_images_are_fetched_without_a_copy_of_all_on_the_device(device, monkeypatch):
    get, copied = DeviceArray.get, []

    def noting(array):
        if not array.flags.c_contiguous:  # as cupy does, which makes it so first
            copied.append(array.nbytes)
        return get(array)

    monkeypatch.setattr(DeviceArray, "get", noting)
    whole = np.arange(2 * 3 * 6 * 5 * 4, dtype=np.complex64).reshape(2, 3, 6, 5, 4)
    there = device(whole)[:, :, :4, :4]
    axes = (1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)
    images = CoilImages(there, Geometry((4, 4, 4), (1.0,) * 3, (0.0,) * 3, *axes))
    tiles = lighter(images, where(DeviceSettings(use="gpu")), Journal()).data
    np.testing.assert_array_equal(tiles.on_host, whole[:, :, :4, :4])
    assert max(copied, default=0) <= there[0, 0].nbytes


def test_a_contrast_that_does_not_fit_the_device_is_made_on_the_cpu(device, monkeypatch):  # noqa: ARG001
    method = R2starSettings.METHODS["weighted_log"]

    def narrow(magnitude, times):
        if on_device(magnitude):
            raise MemoryError("out of memory allocating 9 bytes")
        return method(magnitude, times)

    monkeypatch.setitem(R2starSettings.METHODS, "weighted_log", narrow)
    there, here = maps("gpu"), maps("cpu")
    np.testing.assert_allclose(there["r2star"].data, here["r2star"].data, rtol=SAME)
    (warning,) = there["r2star"].report["warnings"]
    assert warning.endswith("r2star was computed on the CPU")


def test_nothing_holds_coil_images_that_made_room(device, monkeypatch):  # noqa: ARG001
    whole = []
    combine = chain.combine_coils

    def narrow(images, *of):
        if not whole:
            whole.append(weakref.ref(images.data))
            raise MemoryError("out of memory allocating 9 bytes")
        gc.collect()
        assert whole[0]() is None
        return combine(images, *of)

    monkeypatch.setattr(chain, "combine_coils", narrow)
    maps("gpu")
    assert whole


def test_a_g_factor_is_the_same_wherever_it_is_computed(device):  # noqa: ARG001
    imaging = """<parallelImaging><accelerationFactor><kspace_encoding_step_1>2
    </kspace_encoding_step_1><kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>
    <calibrationMode>embedded</calibrationMode></parallelImaging></encoding>"""
    header = Header.parse(HEADER.replace("</encoding>", imaging))

    def sampled(readout):
        line = int(readout.head["idx"]["kspace_encode_step_1"])
        return readout.head["flags"] or line % 2 == 0 or 10 <= line < 22

    found = []
    for use in ("cpu", "gpu"):
        wanted = Settings.from_properties({"device.use": use, "deliver.maps": "g_factor"})
        (echoes,) = chain.combine(filter(sampled, readouts()), header, wanted)
        found.append(to_numpy(echoes.g_factor))
    assert found[0].max() > 1.05
    np.testing.assert_allclose(*found, rtol=SAME)
