from __future__ import annotations

import sys

import numpy as np
import pytest

from gadgetron_qsm.arrays import array_module, to_numpy
from gadgetron_qsm.arrays.feed import DeviceFeed, HostFeed
from gadgetron_qsm.arrays.places import Gpu, Host


@pytest.fixture
def standing_in(device, request):
    """What stands in for cupy; a real one does not tell what a test asks here."""
    if "gpu" in request.node.name:
        pytest.skip("of the stand-in")
    return array_module(device(np.zeros(1)))


def test_the_host_leaves_host_arrays_where_they_are():
    x, host = np.zeros(2), Host()
    assert host.bring(x) is x
    assert isinstance(host.feed(), HostFeed)


def test_the_host_fetches_what_is_on_a_device(device):
    np.testing.assert_array_equal(Host().bring(device(np.arange(3))), [0, 1, 2])


def test_a_device_takes_arrays_in(device):
    place = Gpu(0)
    there = place.bring(np.arange(3))
    assert array_module(there) is array_module(device(np.zeros(1)))
    assert isinstance(place.feed(), DeviceFeed)
    assert place.free_bytes() > 0


def test_a_limit_is_what_arrays_may_take(standing_in):
    pool = standing_in.get_default_memory_pool()
    place = Gpu(0, memory_gb=2)
    assert (pool.limit, place.free_bytes()) == (2_000_000_000, 2e9)
    pool.used, pool.total = 500_000_000, 700_000_000
    assert place.free_bytes() == 1.5e9
    assert place.peak_bytes() == 700_000_000
    place.release()
    assert place.peak_bytes() == 500_000_000


def test_without_a_limit_all_that_is_free_may_be_taken(standing_in):
    pool = standing_in.get_default_memory_pool()
    pool.used, pool.total = 1 << 30, 3 << 30
    assert Gpu(0).free_bytes() == 10 << 30  # 8 of the device, 2 of the pool


def test_every_thread_that_enters_has_the_device(standing_in):
    used = standing_in.cuda.Device.used
    place, before = Gpu(0), len(used)
    place.enter()
    assert used[before:] == [0]


@pytest.mark.parametrize("memory_gb", [None, 2])
def test_no_plan_that_fits_beside_its_data_is_too_large_to_be_kept(standing_in, memory_gb):
    place = Gpu(0, memory_gb)
    memory = 1e9 * memory_gb if memory_gb else place._device.mem_info[1]
    assert standing_in.fft.config.get_plan_cache().memsize >= memory // 2


@pytest.mark.parametrize(("kept_gb", "cleared"), [(0.1, 0), (2, 1)])
def test_between_scans_plans_are_kept_if_they_are_small(standing_in, kept_gb, cleared):
    plans, pool = standing_in.fft.config.get_plan_cache(), standing_in.get_default_memory_pool()
    plans.used = int(kept_gb * 1e9)
    Gpu(0).rest()
    assert plans.cleared == cleared
    assert pool.released >= 1


def test_plans_keep_no_memory_that_is_given_back(standing_in):
    place = Gpu(0)
    place.release()
    assert standing_in.fft.config.get_plan_cache().cleared == 1


@pytest.mark.parametrize("cut", [np.s_[:], np.s_[:, 1:3], np.s_[::-1]])
def test_a_device_takes_in_what_is_not_contiguous(device, cut):  # noqa: ARG001
    x = np.arange(12, dtype=np.complex64).reshape(3, 4)[cut]
    place = Gpu(0)
    there = place.bring(x)
    np.testing.assert_array_equal(to_numpy(there), x)
    assert place.bring(there) is there


def test_without_cupy_there_is_no_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ValueError, match=r"^CuPy is not there: "):
        Gpu(0)


def test_without_a_driver_there_is_no_device(standing_in, monkeypatch):
    def fail():
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(standing_in.cuda.runtime, "getDeviceCount", fail)
    with pytest.raises(ValueError, match=r"^CuPy finds no CUDA device: cudaErrorNoDevice"):
        Gpu(0)


def test_a_device_that_cannot_compute_is_found_out_before_a_scan(standing_in, monkeypatch):
    def fail(*_):
        raise OSError("libnvrtc.so.13: cannot open shared object file")

    monkeypatch.setattr(standing_in, "ones", fail)
    with pytest.raises(ValueError, match=r"^CuPy cannot compute: libnvrtc"):
        Gpu(0)


@pytest.mark.usefixtures("standing_in")
def test_a_device_that_is_not_there_is_refused_with_how_many_there_are():
    with pytest.raises(ValueError, match="no CUDA device 3; there are 1"):
        Gpu(3)
