"""Images and image arrays of a real Gadgetron."""

from __future__ import annotations

import io

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Close, ImageArray
from gadgetron_qsm.mrd.volumes import images_of_array, images_to_coil_images
from gadgetron_qsm.mrd.wire import read_message


def read_all(data):
    stream = io.BytesIO(data)
    messages = []
    while not isinstance(message := read_message(stream), Close):
        messages.append(message)
    return messages


def test_gadgetrons_image_array_and_images_are_the_same_echoes(recorded):
    _, text, *images = read_all(recorded("server_images_r2"))
    _, _, array = read_all(recorded("server_imagearray_r2"))
    header = Header.parse(text.text)
    from_array = images_to_coil_images(images_of_array(array), header)
    from_images = images_to_coil_images(images, header)
    assert from_array.data.shape == (3, 1, 22, 28, 22)
    np.testing.assert_array_equal(from_array.data, from_images.data)
    assert from_array.geometry == from_images.geometry


def test_a_recorded_image_lies_where_the_simulated_head_lies(recorded, shared_data):
    with np.load(shared_data / "wire" / "truth.npz") as truth:
        b0, brain, position = truth["b0dir"], truth["brain"], truth["position"]
    _, text, *images = read_all(recorded("server_images_r2"))
    result = images_to_coil_images(images, Header.parse(text.text))
    data, geometry = result.data, result.geometry
    np.testing.assert_allclose(geometry.b0_direction, b0, atol=1e-6)
    np.testing.assert_allclose(geometry.position, position)
    assert geometry.voxel_size == (8, 8, 8)
    magnitude = np.abs(data[0, 0])
    assert magnitude[brain].mean() > 3 * magnitude[~brain].mean()
    for axis in range(3):  # and in no other orientation as well
        assert magnitude[np.flip(brain, axis)].mean() < magnitude[brain].mean()


@pytest.fixture
def one_head(make_image):
    return make_image(np.zeros((1, 4, 6, 8), np.complex64)).head


def test_an_image_array_with_averages_apart_is_refused(one_head, header):
    heads = np.array([[[one_head]] * 2] * 3).reshape(3, 2, 1).copy()
    heads["contrast"] = np.arange(3)[:, np.newaxis, np.newaxis]
    array = ImageArray(np.zeros((8, 6, 4, 1, 3, 2, 1), np.complex64), heads, [])
    with pytest.raises(QsmError, match="2 complex images of echo 1 came"):
        images_to_coil_images(images_of_array(array), header)


def test_an_image_array_without_all_its_headers_is_refused(one_head):
    heads = np.array([one_head]).reshape(1, 1, 1)
    array = ImageArray(np.zeros((8, 6, 4, 1, 3, 1, 1), np.complex64), heads, [])
    with pytest.raises(QsmError, match="not as many headers"):
        images_of_array(array)
