from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage

from gadgetron_qsm.arrays import array_module, fft_module, ndimage_module, to_numpy
from gadgetron_qsm.arrays.scatter import scatter_min
from tests.device import DeviceArray


@pytest.fixture
def x():
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_arithmetic_is_numpys(device, x):
    there = device(x)
    got = 2 * there[:, 1:] / (there[:, 1:] + np.float32(1)) - there[:, :2] ** 2
    np.testing.assert_allclose(to_numpy(got), 2 * x[:, 1:] / (x[:, 1:] + 1) - x[:, :2] ** 2)


def test_a_slice_is_written_through(device, x):
    there = device(x)
    there[0][1] += 5
    there[there > 20] = 0
    expected = x.copy()
    expected[0, 1] += 5
    expected[expected > 20] = 0
    np.testing.assert_array_equal(to_numpy(there), expected)


def test_a_sum_is_an_array_that_becomes_a_number_when_asked(device, x):
    total = device(x).sum()
    assert isinstance(total, array_module(device(x)).ndarray)
    assert float(total) == x.sum()


def test_transforms_and_filters_are_scipys(device, x):
    there = device(x)
    spectrum = fft_module(there).rfftn(there)
    np.testing.assert_allclose(to_numpy(spectrum), scipy.fft.rfftn(x), atol=1e-5)
    smooth = ndimage_module(there).gaussian_filter(there, 1.0)
    np.testing.assert_allclose(to_numpy(smooth), scipy.ndimage.gaussian_filter(x, 1.0), rtol=1e-5)


def test_a_device_array_does_not_become_a_numpy_array_on_its_own(device, x):
    with pytest.raises(TypeError):
        np.asarray(device(x))


@pytest.mark.parametrize("function", [np.sin, np.sum, np.median, np.ravel, lambda x: np.stack([x])])
def test_the_stand_in_refuses_numpys_functions(function, x):
    with pytest.raises(TypeError):
        function(DeviceArray(x))


def test_host_and_device_arrays_do_not_mix(device, x):
    there = device(x)
    xp = array_module(there)
    for mix in (
        lambda: there + x,
        lambda: x + there,
        lambda: xp.maximum(there, x),
        lambda: xp.where(there > 0, x, 0),
        lambda: fft_module(there).rfftn(x),
    ):
        with pytest.raises((TypeError, ValueError)):
            mix()


def test_what_comes_from_the_host_goes_through_asarray(device, x):
    there = device(x)
    both = there + array_module(there).asarray(x)
    np.testing.assert_array_equal(to_numpy(both), 2 * x)


def test_what_only_numpy_and_scipy_have_is_missed(device, x):
    there = device(x)
    assert not hasattr(array_module(there), "errstate")
    assert not hasattr(fft_module(there), "set_workers")
    assert not hasattr(ndimage_module(there), "find_objects")


def test_of_several_values_for_one_place_the_least_is_written(device):
    least, index = np.full(4, 2**40, np.uint64), np.array([1, 3, 1, 1], np.int32)
    values = np.array([7, 2**41, 5, 6], np.uint64)
    there = device(least)
    scatter_min(there, device(index), device(values))
    scatter_min(least, index, values)
    np.testing.assert_array_equal(least, [2**40, 5, 2**40, 2**40])
    np.testing.assert_array_equal(to_numpy(there), least)


def test_the_least_of_a_type_without_atomics_is_refused(device):
    with pytest.raises(TypeError):
        scatter_min(
            device(np.zeros(4, np.int64)), device(np.zeros(2, int)), device(np.ones(2, int))
        )


def test_an_array_of_no_dimension_is_no_index(device):
    with pytest.raises(TypeError):
        range(device(np.array(3)))
    with pytest.raises(TypeError):
        [1, 2, 3][device(np.array(1))]


def test_a_product_of_matrices_in_place_is_a_new_array(device):
    there = before = device(np.eye(3))
    there @= device(np.full((3, 3), 2.0))
    np.testing.assert_array_equal(to_numpy(there), np.full((3, 3), 2.0))
    np.testing.assert_array_equal(to_numpy(before), np.eye(3))
