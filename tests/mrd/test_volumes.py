from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import IMAGINARY, MAGNITUDE, PHASE, REAL
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.volumes import images_to_coil_images, repetitions_of_images

ECHOES = 3


@pytest.fixture
def volumes(truth, make_image):
    """One complex image an echo."""
    return [
        make_image(data, image_type=5, contrast=echo, position=(1, 2, 3))
        for echo, data in enumerate(truth)
    ]


def parts_of(image, **by_type):
    """The same image in parts: one image for each type, with the pixels that are given."""
    images = []
    for name, data in by_type.items():
        head = image.head.copy()
        head["image_type"] = {"m": MAGNITUDE, "p": PHASE, "r": REAL, "i": IMAGINARY}[name]
        images.append(Image(head, data))
    return images


def shuffled(images, rng):
    return [images[i] for i in rng.permutation(len(images))]


def test_complex_volumes_in_any_order_are_the_echoes(volumes, truth, header, rng):
    result = images_to_coil_images(shuffled(volumes, rng), header)
    np.testing.assert_array_equal(result.data, truth)
    assert result.data.dtype == np.complex64
    assert result.geometry.matrix == (4, 6, 8)
    assert result.geometry.voxel_size == (4, 3, 2)
    assert result.geometry.position == (1, 2, 3)
    assert result.report["provenance"]["scan"]["method"] == "images"


def test_complex_pixels_are_complex_whatever_the_image_type(volumes, truth, header, make_image):
    as_gadgetron_sends = [
        make_image(image.data, image_type=1, contrast=image.head["contrast"]) for image in volumes
    ]
    np.testing.assert_array_equal(images_to_coil_images(as_gadgetron_sends, header).data, truth)


def test_magnitude_and_phase_in_any_order_are_put_together(volumes, truth, header, rng):
    images = [
        part
        for image in volumes
        for part in parts_of(image, m=np.abs(image.data), p=np.angle(image.data))
    ]
    result = images_to_coil_images(shuffled(images, rng), header)
    np.testing.assert_allclose(result.data, truth, atol=2e-6)
    assert result.data.dtype == np.complex64


def test_real_and_imaginary_are_put_together(volumes, truth, header):
    images = [
        part for image in volumes for part in parts_of(image, r=image.data.real, i=image.data.imag)
    ]
    np.testing.assert_array_equal(images_to_coil_images(images, header).data, truth)


def test_complex_images_win_over_magnitudes_beside_them(volumes, truth, header):
    images = [*volumes, *(part for v in volumes for part in parts_of(v, m=np.abs(v.data)))]
    np.testing.assert_array_equal(images_to_coil_images(images, header).data, truth)


def test_integer_magnitudes_and_stored_phase_are_scaled(volumes, truth, header):
    images = []
    for image in volumes:
        phase = np.clip(np.round(2048 + np.angle(image.data) * 2048 / np.pi), 0, 4095)
        magnitude = np.round(1000 * np.abs(image.data))
        images += parts_of(image, m=magnitude.astype(np.uint16), p=phase.astype(np.uint16))
    result = images_to_coil_images(images, header).data / 1000
    np.testing.assert_allclose(result, truth, atol=0.01)


def renumbered(images):
    """The same images, all of contrast 0."""
    heads = [image.head.copy() for image in images]
    for head in heads:
        head["contrast"] = 0
    return [Image(head, image.data) for head, image in zip(heads, images, strict=True)]


def test_without_contrast_indices_the_order_of_arrival_is_that_of_the_echoes(
    volumes, truth, header
):
    images = renumbered(volumes)
    np.testing.assert_array_equal(images_to_coil_images(images, header).data, truth)


def test_a_single_echo_scan_has_one_echo(volumes, truth, header_text):
    header = Header.parse(header_text(te_ms=(20,)))
    np.testing.assert_array_equal(images_to_coil_images(volumes[:1], header).data, truth[:1])


def changed(images, index, data=None, **values):
    head = images[index].head.copy()
    for name, value in values.items():
        head[name] = value
    new = Image(head, images[index].data if data is None else data)
    return [*images[:index], new, *images[index + 1 :]]


def no_phase(volumes):
    return [part for image in volumes for part in parts_of(image, m=np.abs(image.data))]


def unsigned(volumes):
    pixels = np.ones(volumes[0].data.shape, np.uint16)
    return [part for image in volumes for part in parts_of(image, r=pixels, i=pixels)]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda _: [], "no images came"),
        (lambda v: v[:2], "names 3 echo times, but the complex images are of echoes 1, 2"),
        (lambda v: renumbered(v[:2]), "names 3 echo times, but"),
        (lambda v: [*v, *changed(v, 2, contrast=3)[2:]], "are of echoes 1, 2, 3, 4"),
        (lambda v: [*v, v[1]], "2 complex images of echo 2 came; send one"),
        (lambda v: changed(v, 1, v[1].data[:, :, :5]), "different sizes"),
        (lambda v: changed(v, 1, v[1].data[:1]), "different sizes"),
        (lambda v: changed(v, 1, v[1].data * np.nan), "complex images of echo 2 .* not finite"),
        (lambda v: changed(v, 1, position=(1, 2, 4)), "do not lie in the same place"),
        (lambda v: changed(v, 1, slice_dir=(0, 0, -1)), "not parallel"),
        (no_phase, "only magnitude images came.* no phase"),
        (unsigned, "send them signed"),
        (lambda v: changed(v, 0, v[0].data.real, image_type=6), "images of type 6 with float32"),
    ],
    ids=range(13),
)
def test_volumes_that_no_echoes_can_come_from_are_refused(volumes, header, spoil, what):
    with pytest.raises(QsmError, match=what) as refused:
        images_to_coil_images(spoil(volumes), header)
    assert "\n" not in str(refused.value)


def test_a_missing_phase_image_is_named(volumes, header):
    images = [
        part
        for image in volumes
        for part in parts_of(image, m=np.abs(image.data), p=np.angle(image.data))
    ]
    with pytest.raises(QsmError, match="the phase images are of echoes 1, 2"):
        images_to_coil_images(images[:-1], header)


def test_a_field_of_view_of_one_partition_is_not_taken_for_the_slab(volumes, header):
    images = [changed(volumes, i, field_of_view=(16, 18, 0.1))[i] for i in range(ECHOES)]
    assert images_to_coil_images(images, header).geometry.voxel_size == (4, 3, 2)


def test_a_field_of_view_that_nobody_filled_in_is_that_of_the_header(volumes, header):
    images = [changed(volumes, i, field_of_view=0)[i] for i in range(ECHOES)]
    assert images_to_coil_images(images, header).geometry.voxel_size == (4, 3, 2)


def test_thin_but_plausible_partitions_are_believed(volumes, header):
    images = [changed(volumes, i, field_of_view=(16, 18, 4))[i] for i in range(ECHOES)]
    assert images_to_coil_images(images, header).geometry.voxel_size == (1, 3, 2)


@pytest.fixture
def repeated(volumes):
    """Two repetitions, the second twice as bright, acquired later."""
    second = [
        changed([image], 0, 2 * image.data, repetition=1, acquisition_time_stamp=500)[0]
        for image in volumes
    ]
    return [*volumes, *second]


def test_repetitions_in_any_order_are_told_apart_and_given_one_after_the_other(
    repeated, truth, header, rng
):
    first, second = repetitions_of_images(shuffled(repeated, rng), header)
    assert (first.repetition, second.repetition) == (0, 1)
    np.testing.assert_array_equal(first.data, truth)
    np.testing.assert_array_equal(second.data, 2 * truth)


def test_repetitions_are_known_as_one_scan(repeated, header):
    first, second = repetitions_of_images(repeated, header)
    assert first.report["provenance"]["scan"]["first_time_stamp"] == 0
    assert second.report["provenance"]["scan"] == first.report["provenance"]["scan"]


def test_a_repetition_that_is_incomplete_is_named_behind_those_before_it(repeated, truth, header):
    given = repetitions_of_images(repeated[:-1], header)
    np.testing.assert_array_equal(next(given).data, truth)
    with pytest.raises(QsmError, match=r"^repetition 2: .*the complex images are of echoes 1, 2$"):
        next(given)
