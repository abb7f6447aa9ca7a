"""Images that were flipped or turned after they were made: every voxel stays where it is."""

from __future__ import annotations

import itertools

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.axes import axes_of
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.volumes import images_to_coil_images

READ, PHASE, SLICE = OBLIQUE = np.array([(0.8, -0.48, 0.36), (0.6, 0.64, -0.48), (0, 0.6, 0.8)])
POSITION = np.array([10.0, 20.0, -30.0])
VOXEL = np.array([2.0, 3.0, 4.0])  # x, y, z


def with_axes(image, **vectors):
    meta = {name: [f"{c:.18f}" for c in vector] for name, vector in vectors.items()}
    return Image(image.head, image.data, ismrmrd.Meta(meta).serialize())


@pytest.fixture
def of_size(make_image):
    """A function that makes an image of (z, y, x) voxels, each with a value of its own."""

    def make(z, y, x):
        data = np.arange(1, z * y * x + 1, dtype=np.complex64).reshape(1, z, y, x)
        fov = VOXEL * [x, y, z]
        directions = dict(zip(("read_dir", "phase_dir", "slice_dir"), OBLIQUE, strict=True))
        return make_image(data, position=POSITION, field_of_view=fov, **directions)

    return make


def places(image, header):
    """Patient coordinates of each value."""
    volume = images_to_coil_images([image], header)
    values, affine = np.abs(volume.data[0, 0]), volume.geometry.affine
    return {
        round(float(values[z, y, x])): (affine @ [x, y, z, 1])[:3]
        for z, y, x in itertools.product(*map(range, values.shape))
    }


@pytest.mark.parametrize("size", [(4, 6, 8), (3, 5, 7), (4, 5, 8)])
@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
def test_a_flipped_image_has_every_voxel_where_it_was(of_size, header_text, size, flips):
    header = Header.parse(header_text(te_ms=(20,), z=size[0]))
    image = of_size(*size)
    flipped = np.flip(image.data, [3 - axis for axis in range(3) if flips[axis] < 0])
    meta = {"ImageRowDir": READ, "ImageColumnDir": PHASE, "ImageSliceDir": SLICE}
    turned = with_axes(
        Image(image.head, np.ascontiguousarray(flipped)),
        **{name: flip * v for (name, v), flip in zip(meta.items(), flips, strict=True)},
    )
    expected, found = places(image, header), places(turned, header)
    assert expected.keys() == found.keys()
    assert max(np.abs(found[value] - expected[value]).max() for value in expected) < 1e-4


def test_an_image_turned_in_its_plane_has_every_voxel_where_it_was(of_size, header_text):
    header = Header.parse(header_text(te_ms=(20,), z=4))
    image = of_size(4, 6, 8)
    head = image.head.copy()
    head["field_of_view"] = head["field_of_view"][[1, 0, 2]]
    turned = np.ascontiguousarray(np.rot90(image.data, axes=(2, 3)))  # row: phase, column: -read
    meta = {"ImageRowDir": PHASE, "ImageColumnDir": -READ}
    expected = places(image, header)
    found = places(with_axes(Image(head, turned), **meta), header)
    assert max(np.abs(found[value] - expected[value]).max() for value in expected) < 1e-4


def test_slices_lie_where_their_positions_say_whichever_way_their_meta_counts_them(
    of_size, header_text
):
    header = Header.parse(header_text(te_ms=(20,), z=4))
    volume = of_size(4, 6, 8)
    slices = []
    for z in range(4):
        head = volume.head.copy()
        head["position"], head["slice"] = POSITION + VOXEL[2] * (z - 2) * SLICE, z
        head["field_of_view"][2] = VOXEL[2]
        one = Image(head, np.ascontiguousarray(volume.data[:, z : z + 1]))
        slices.append(with_axes(one, ImageSliceDir=-SLICE))
    found = images_to_coil_images(slices, header)
    expected = images_to_coil_images([volume], header)
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_allclose(found.geometry.affine, expected.geometry.affine, atol=1e-4)


def test_without_meta_the_axes_are_those_of_the_acquisition(of_size):
    axes = axes_of(of_size(4, 6, 8))
    np.testing.assert_allclose(axes.shown, OBLIQUE, atol=1e-6)
    assert not axes.flipped().any()


def test_echoes_that_were_flipped_one_by_one_are_refused(make_image, truth, header):
    images = [
        make_image(data, image_type=5, contrast=echo, position=(1, 2, 3))
        for echo, data in enumerate(truth)
    ]
    images[1] = with_axes(images[1], ImageRowDir=-images[1].head["read_dir"])
    with pytest.raises(QsmError, match="not parallel"):
        images_to_coil_images(images, header)


@pytest.mark.parametrize("vector", [(1, 0), ("a", "b", "c")])
def test_an_axis_that_is_no_vector_is_refused(of_size, vector):
    image = of_size(4, 6, 8)
    meta = ismrmrd.Meta({"ImageRowDir": [str(c) for c in vector]}).serialize()
    with pytest.raises(QsmError, match="ImageRowDir in the meta of an image is no vector"):
        axes_of(Image(image.head, image.data, meta))
