from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
from threadpoolctl import threadpool_info, threadpool_limits

import gadgetron_qsm
from gadgetron_qsm.arrays import (
    array_module,
    compiled,
    fft_module,
    ndimage_module,
    slabs,
    to_numpy,
)
from gadgetron_qsm.processors import processors

PACKAGE = Path(gadgetron_qsm.__file__).parent
NUMERIC = [
    "conjugate_gradients",
    "distance",
    "domain",
    "grid",
    *(
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        for part in "arrays kspace coils field mask background inversion contrast".split()  # noqa: SIM905
        for path in sorted(PACKAGE.glob(f"{part}/*.py"))
    ),
]


class DeviceArray:
    def get(self):
        return np.arange(3)


@pytest.fixture
def cupy(monkeypatch):
    """Modules that stand in for cupy's, as if somebody had imported them."""
    names = ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.fft", "cupyx.scipy.ndimage")
    modules = {name: ModuleType(name) for name in names}
    modules["cupy"].ndarray = DeviceArray
    modules["cupyx"].scipy = modules["cupyx.scipy"]
    modules["cupyx.scipy"].fft = modules["cupyx.scipy.fft"]
    modules["cupyx.scipy"].ndimage = modules["cupyx.scipy.ndimage"]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return modules


def test_asking_about_a_host_array_never_imports_cupy(tmp_path):
    for name in ("cupy", "cupyx"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('cupy was imported')")
    program = f"""
import importlib, sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
for name in {NUMERIC!r}:
    importlib.import_module("gadgetron_qsm." + name)
from gadgetron_qsm import arrays
x = np.zeros(2)
for ask in (arrays.array_module, arrays.fft_module, arrays.ndimage_module, arrays.to_numpy):
    ask(x)
print("cupy" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_numeric_packages_need_numpy_scipy_and_numba_alone():
    program = f"""
import importlib, sys
import numpy, scipy.fft, scipy.ndimage, numba

class Nothing:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in {{"numpy", "scipy", "numba", "llvmlite", "gadgetron_qsm"}}:
            if root not in sys.stdlib_module_names:
                raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Nothing())
for name in {NUMERIC!r}:
    importlib.import_module("gadgetron_qsm." + name)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("axis", "planes"), [(0, 2), (1, 3)])
def test_a_host_volume_is_worked_on_plane_by_plane_and_a_devices_at_once(device, axis, planes):
    volume = np.arange(24).reshape(2, 3, 4)
    assert list(slabs(volume, axis)) == [slice(n, n + 1) for n in range(planes)]
    assert list(slabs(device(volume), axis)) == [slice(0, planes)]


@pytest.mark.usefixtures("cupy")
def test_a_host_array_belongs_to_numpy_and_scipy():
    x = np.zeros(2)
    found = array_module(x), fft_module(x), ndimage_module(x)
    assert found == (np, scipy.fft, scipy.ndimage)


def test_a_device_array_belongs_to_cupy_and_cupyx(cupy):
    x = DeviceArray()
    assert array_module(x) is cupy["cupy"]
    assert fft_module(x) is cupy["cupyx.scipy.fft"]
    assert ndimage_module(x) is cupy["cupyx.scipy.ndimage"]


@pytest.mark.usefixtures("cupy")
def test_a_device_array_is_fetched_to_the_host():
    np.testing.assert_array_equal(to_numpy(DeviceArray()), [0, 1, 2])


def test_a_host_array_is_not_copied_to_the_host():
    x = np.zeros(2)
    assert to_numpy(x) is x


def test_transforms_keep_single_precision():
    x = np.ones((4, 4), np.float32)
    assert fft_module(x).rfftn(x).dtype == np.complex64


def test_compiling_does_without_a_folder_for_machine_code(monkeypatch):
    def njit(*, cache=False, **_):
        def compile_it(function):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return function

        return compile_it

    monkeypatch.setattr("numba.njit", njit)
    assert compiled(abs) is abs


def test_processors_gives_fourier_transforms_all_and_matrix_products_one():
    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    workers = scipy.fft.get_workers()
    with threadpool_limits(2, user_api="blas"):
        with processors():
            assert threads() == {1}
            assert scipy.fft.get_workers() == os.cpu_count()
        assert (threads(), scipy.fft.get_workers()) == ({2}, workers)
