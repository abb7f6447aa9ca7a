from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Image, ImageArray
from gadgetron_qsm.mrd.volumes import images_of_array, images_to_coil_images

ECHOES, SLICES = 3, 4


@pytest.fixture
def slices(truth, make_image):
    """The scan in 2-D slices, 4 mm apart along an oblique slice direction."""
    read, phase = np.array([1, 0, 0]), np.array([0, 0.8, 0.6])
    normal = np.cross(read, phase)
    return [
        make_image(
            data[:, z : z + 1],
            contrast=echo,
            slice=SLICES - 1 - z,
            position=np.array([5, 6, 7]) + 4 * z * normal,
            read_dir=read,
            phase_dir=phase,
            slice_dir=normal,
        )
        for echo, data in enumerate(truth)
        for z in range(SLICES)
    ]


def shuffled(images, rng):
    return [images[i] for i in rng.permutation(len(images))]


def changed(images, index, data=None, **values):
    head = images[index].head.copy()
    for name, value in values.items():
        head[name] = value
    new = Image(head, images[index].data if data is None else data)
    return [*images[:index], new, *images[index + 1 :]]


def test_slices_in_any_order_are_stacked_along_slice_dir(slices, truth, header, rng):
    result = images_to_coil_images(shuffled(slices, rng), header)
    np.testing.assert_array_equal(result.data, truth)
    middle = slices[SLICES // 2].head["position"].tolist()
    assert result.geometry.position == tuple(middle)
    np.testing.assert_allclose(result.geometry.voxel_size, (4, 3, 2), rtol=1e-6)


def test_the_first_voxel_of_stacked_slices_is_where_the_first_slice_has_it(slices, header):
    geometry = images_to_coil_images(slices, header).geometry
    first = slices[0].head
    corner = (
        first["position"]
        - first["read_dir"] * 2 * (8 // 2)
        - first["phase_dir"] * 3 * (6 // 2)
    )  # fmt: skip
    np.testing.assert_allclose(geometry.image_position(0), corner, atol=1e-5)


def test_slices_that_all_have_one_position_are_ordered_by_their_index(truth, header, make_image):
    images = [
        make_image(data[:, z : z + 1], contrast=echo, slice=z, position=(1, 2, 3))
        for echo, data in enumerate(truth)
        for z in reversed(range(SLICES))
    ]
    result = images_to_coil_images(images, header)
    np.testing.assert_array_equal(result.data, truth)
    assert result.geometry.voxel_size == (4, 3, 2)
    assert result.geometry.position == (1, 2, 3)


def test_without_contrast_indices_each_place_has_its_echoes_in_order(slices, truth, header):
    images = [changed([image], 0, contrast=0)[0] for image in slices]
    np.testing.assert_array_equal(images_to_coil_images(images, header).data, truth)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda s: s[:-1], "1 of 4 slices are missing: complex images of echo 3"),
        (lambda s: [s[0], s[0], *s[2:]], "two slices are in one place.*echo 1"),
        (
            lambda s: changed(s, 3, position=s[3].head["position"] + 4 * s[3].head["slice_dir"]),
            "1 slices are missing between",
        ),
        (
            lambda s: changed(s, 3, position=s[3].head["position"] + s[3].head["slice_dir"]),
            "not evenly spaced",
        ),
    ],
    ids=["one less", "one twice", "a gap", "uneven"],
)
def test_slices_that_make_no_volume_are_refused(slices, header, spoil, what):
    with pytest.raises(QsmError, match=what):
        images_to_coil_images(spoil(slices), header)


def sheared(slices, mm):
    """The same slices, each shifted along read_dir by so much more than the one before."""
    return [
        changed([s], 0, position=s.head["position"] + (i % SLICES) * mm * s.head["read_dir"])[0]
        for i, s in enumerate(slices)
    ]


def test_slices_that_are_shifted_in_their_plane_are_refused(slices, header):
    with pytest.raises(QsmError, match=r"slices are shifted by 0\.3 mm in their plane: complex"):
        images_to_coil_images(sheared(slices, 0.1), header)


def test_positions_that_were_rounded_make_a_stack(slices, header):
    assert images_to_coil_images(sheared(slices, 0.02), header).geometry.matrix == (4, 6, 8)


def test_slices_at_one_place_with_one_index_are_refused(truth, header, make_image):
    images = [
        make_image(data[:, z : z + 1], contrast=echo)
        for echo, data in enumerate(truth)
        for z in range(SLICES)
    ]
    with pytest.raises(QsmError, match="two slices are in one place"):
        images_to_coil_images(images, header)


def test_the_slices_of_a_2d_scan_are_counted_by_its_encoding_limits(slices, header_text):
    header = Header.parse(header_text(z=1, last_slice=4))
    with pytest.raises(QsmError, match="1 of 5 slices are missing"):
        images_to_coil_images(slices, header)


def test_more_slices_than_the_header_says_in_one_echo_only_are_refused(slices, header):
    last = slices[-1]
    further = changed([last], 0, position=last.head["position"] + 4 * last.head["slice_dir"])
    with pytest.raises(QsmError, match=r"not lie in the same place|not every echo"):
        images_to_coil_images([*slices, *further], header)


def test_slices_along_loc_of_an_image_array_are_stacked(slices, truth, header):
    data = np.empty((8, 6, 1, 2, ECHOES, 1, SLICES), np.complex64)
    headers = np.empty((ECHOES, 1, SLICES), slices[0].head.dtype)
    for i, image in enumerate(slices):
        echo, z = divmod(i, SLICES)
        data[..., echo, 0, z] = image.data.T
        headers[echo, 0, z] = image.head
    meta = [f"meta {i}" for i in range(headers.size)]
    result = images_to_coil_images(images_of_array(ImageArray(data, headers, meta)), header)
    np.testing.assert_array_equal(result.data, truth)
