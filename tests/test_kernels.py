from __future__ import annotations

import sys

import numpy as np
import pytest

from gadgetron_qsm.arrays import array_module, to_numpy
from gadgetron_qsm.arrays.kernels import Elementwise
from tests.device import DeviceArray, modules

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 4, 5, 7)).astype(np.float32)
SCALED_SUM = Elementwise(
    "scaled_sum", "float32 x, float32 y, float32 a", "float32 z", "z = x + a * y"
)


def test_a_kernel_is_the_expression_it_stands_for(device):
    got = SCALED_SUM(device(X), device(Y), 0.5)
    np.testing.assert_allclose(to_numpy(got), X + np.float32(0.5) * Y, rtol=1e-5, atol=1e-6)


def test_an_output_that_is_given_is_written_and_returned(device):
    out = device(X)
    got = SCALED_SUM(out, device(Y), np.float32(2), out)
    np.testing.assert_allclose(to_numpy(out), X + 2 * Y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(got), to_numpy(out))


def test_inputs_are_broadcast(device):
    got = SCALED_SUM(device(X), device(Y[0, 0]), 1)
    np.testing.assert_allclose(to_numpy(got), X + Y[0, 0], rtol=1e-5, atol=1e-6)


def test_an_output_that_is_no_block_of_memory_is_written_through(device):
    whole = device(X)
    SCALED_SUM(whole[:, 1], device(Y[:, 1]), 1, whole[:, 1])
    np.testing.assert_allclose(to_numpy(whole)[:, 1], (X + Y)[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(whole)[:, 0], X[:, 0])


def test_raw_arrays_are_indexed_flat_for_neighbours(device):
    shift = Elementwise(
        "shift",
        "raw float32 x, int32 nx",
        "float32 z",
        "const int at = i; z = twice(at % nx + 1 < nx ? x[at + 1] : x[at - (nx - 1)])",
        preamble="__device__ float twice(float x) { return 2.0f * x; }",
    )
    there = device(X)
    got = shift(there, X.shape[2], array_module(there).empty_like(there))
    np.testing.assert_array_equal(to_numpy(got), 2 * np.roll(X, -1, axis=2))


def test_a_raw_output_is_scattered_to(device):
    scatter = Elementwise("scatter", "T at, float32 x", "raw float32 z", "z[at] = x")
    places = RNG.permutation(X.size).astype(np.int32)
    z = device(np.zeros(X.shape, np.float32))
    scatter(device(places), device(X.ravel()), z)
    expected = np.zeros(X.size, np.float32)
    expected[places] = X.ravel()
    np.testing.assert_array_equal(to_numpy(z).ravel(), expected)


def test_a_number_on_the_device_is_a_raw_array(device):
    divide = Elementwise("divide", "float32 x, raw float64 all", "float32 z", "z = x / all[0]")
    x = device(X)
    total = (x * x).sum(dtype=np.float64)
    np.testing.assert_allclose(to_numpy(divide(x, total)), X / (X * X).sum(), rtol=1e-5)


def test_complex_numbers_are_multiplied_and_added(device):
    z = (X + 1j * Y).astype(np.complex64)
    kernel = Elementwise(
        "turn", "complex64 z, float32 a", "complex64 w", "w = a * z * z + conj(z) / a"
    )
    np.testing.assert_allclose(
        to_numpy(kernel(device(z), 0.5)), 0.5 * z * z + z.conj() / 0.5, rtol=1e-4, atol=1e-5
    )


def test_several_outputs_come_in_their_order(device):
    kernel = Elementwise("both", "float32 x", "float32 y, int32 m", "y = -x; m = i")
    y, m = kernel(device(X))
    np.testing.assert_array_equal(to_numpy(y), -X)
    np.testing.assert_array_equal(to_numpy(m).ravel(), np.arange(X.size))


def test_another_type_than_the_kernel_s_is_refused(device):
    with pytest.raises(TypeError):
        SCALED_SUM(device(X.astype(float)), device(Y), 1)


def test_a_host_array_is_refused(device):
    with pytest.raises(TypeError):
        SCALED_SUM(device(X), Y, 1)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 8)])
def test_an_output_of_another_shape_is_refused(device, shape):
    with pytest.raises(ValueError, match=r"shape|broadcast"):
        SCALED_SUM(device(X), device(Y), 1, device(np.zeros(shape, np.float32)))


def test_a_number_of_indices_must_follow_from_the_arguments(device):
    with pytest.raises(ValueError, match=r"(?i)undecided"):
        Elementwise("none", "raw float32 x", "raw float32 y", "y[i] = x[i]")(device(X), device(X))


def test_the_wrong_number_of_arguments_is_refused(device):
    with pytest.raises(TypeError, match=r"(?i)wrong number"):
        SCALED_SUM(device(X), device(Y))


@pytest.fixture
def stand_in(monkeypatch):
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return DeviceArray


@pytest.mark.parametrize("offset", [-1, 1])
def test_the_stand_in_refuses_an_index_beyond_the_end(stand_in, offset):
    kernel = Elementwise("far", "raw float32 x, int32 d", "float32 z", "z = x[i + d]")
    with pytest.raises(IndexError):
        kernel(stand_in(X), offset, stand_in(np.zeros_like(X)))


def test_the_stand_in_refuses_a_raw_array_that_is_no_block_of_memory(stand_in):
    kernel = Elementwise("raw", "raw float32 x", "float32 z", "z = x[i]")
    with pytest.raises(ValueError, match="not contiguous"):
        kernel(stand_in(X[:, 1]), stand_in(np.zeros((4, 7), np.float32)))


def test_the_stand_in_refuses_reserved_names(stand_in):
    with pytest.raises(ValueError, match="reserved"):
        Elementwise("bad", "float32 i", "float32 z", "z = i")(stand_in(X))


def test_on_the_stand_in_indices_come_in_no_order_to_rely_on(stand_in):
    kernel = Elementwise("sums", "float32 x", "raw float32 z", "z[i] = i ? z[i - 1] + x : x")
    ones = stand_in(np.ones(50, np.float32))
    sums = kernel(ones, stand_in(np.zeros(50, np.float32)))
    assert (sums.get() != np.arange(1, 51)).any()
