"""Maps as MRD volumes and slices: pixels and places, against our DICOM series of the same maps."""

from __future__ import annotations

import dataclasses
import io

import ismrmrd
import numpy as np
import pydicom
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.pixels import quantise, quantise12
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.images import image_to_map, map_to_image
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.slices import images_to_maps, slices_of
from gadgetron_qsm.mrd.wire import read_message, write_message
from tests.written import write_series

COUNTED = {"float32": lambda _: None, "int16": quantise, "uint12": quantise12}


def over_the_wire(image):
    stream = io.BytesIO()
    write_message(stream, image)
    stream.seek(0)
    return read_message(stream)


def oblique(matrix=(4, 6, 8), handed=1, spacing=1.1):
    """A geometry with numbers that float32 cannot hold; `handed` -1 is a left-handed triple."""
    a, b = 0.3, 0.2
    tilt = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), np.sin(b), 0], [-np.sin(b), np.cos(b), 0], [0, 0, 1]])
    read, phase, slice_ = turn @ tilt
    axes = (tuple(axis.tolist()) for axis in (read, phase, handed * slice_))
    return Geometry(matrix, (spacing, 0.7, 1 / 3), (100.1, -200.2, 30.3), *axes)


def chi_map(geometry, rng, **fields):
    data = (100 * rng.standard_normal(geometry.matrix)).astype(np.float32)
    return Map("chi", data, "ppb", geometry, report={"warnings": ["a"]}, **fields)


def corner(head, z=0):
    """Where a reader of the header alone puts the first voxel of plane z: MRD position, n//2."""
    n = head["matrix_size"].astype(int)
    steps = head["field_of_view"] / n * (np.array([0, 0, z]) - n // 2)
    axes = np.array([head["read_dir"], head["phase_dir"], head["slice_dir"]], float)
    return head["position"] + steps @ axes


HANDED = [1, -1]
MATRICES = [(4, 6, 8), (5, 7, 9), (1, 6, 8)]


@pytest.fixture(params=[(m, h) for m in MATRICES for h in HANDED], ids=str)
def both(request, rng, header, tmp_path):
    """A map's image, and its DICOM slices by their number."""
    volume = chi_map(oblique(*request.param), rng)
    files = [pydicom.dcmread(path) for path in write_series(volume, header, tmp_path)]
    return map_to_image(volume, 1, stored=quantise(volume.data)), files


def test_slices_lie_where_those_of_dicom_do_with_the_same_numbers_and_pixels(both):
    image, files = both
    slices = [over_the_wire(image) for image in slices_of(image)]
    assert len(slices) == len(files)
    for number, (one, file) in enumerate(zip(slices, files, strict=True)):
        head = one.head
        assert (head["image_index"], head["slice"]) == (file.InstanceNumber, number)
        np.testing.assert_allclose(corner(head), file.ImagePositionPatient, atol=1e-4)
        axes = [*head["read_dir"], *head["phase_dir"]]
        np.testing.assert_allclose(axes, file.ImageOrientationPatient, atol=1e-6)
        spacing = (head["field_of_view"] / head["matrix_size"])[[1, 0, 2]]
        expected = [*file.PixelSpacing, file.SpacingBetweenSlices]
        np.testing.assert_allclose(spacing, expected, rtol=1e-6)
        np.testing.assert_array_equal(one.data[0, 0], file.pixel_array)


def test_a_volume_lies_where_the_slices_of_dicom_do(both):
    image, files = both
    head = over_the_wire(image).head
    order = np.argsort([np.dot(file.ImagePositionPatient, head["slice_dir"]) for file in files])
    for z, index in enumerate(order):
        np.testing.assert_allclose(corner(head, z), files[index].ImagePositionPatient, atol=1e-4)
        np.testing.assert_array_equal(image.data[0, z], files[index].pixel_array)


def test_each_voxel_of_any_volume_is_where_the_geometry_has_it(rng):
    """Corners of a volume and of its slices, as a reader of MRD headers finds them."""
    for _ in range(50):
        axes, _ = np.linalg.qr(rng.standard_normal((3, 3)))  # right- and left-handed
        matrix = tuple(rng.integers(1, 9, 3).tolist())
        size, position = rng.uniform(0.2, 4, 3), rng.uniform(-200, 200, 3)
        numbers = (tuple(row.tolist()) for row in (size, position, *axes))
        geometry = Geometry(matrix, *numbers)
        image = map_to_image(chi_map(geometry, rng), 1)
        far = (geometry.affine @ [*np.subtract(matrix[::-1], 1), 1])[:3]
        steps = image.head["field_of_view"] / matrix[::-1] * np.subtract(matrix[::-1], 1)
        np.testing.assert_allclose(corner(image.head) + steps @ axes, far, atol=1e-4)
        for z, one in zip(geometry.slice_order, slices_of(image), strict=True):
            assert one.data.shape == (1, 1, *matrix[1:])
            np.testing.assert_allclose(corner(image.head, z), geometry.image_position(z), atol=1e-4)
            np.testing.assert_allclose(corner(one.head), geometry.image_position(z), atol=1e-4)


@pytest.mark.parametrize("handed", HANDED)
def test_slices_advance_along_row_by_column(rng, handed):
    heads = [one.head for one in slices_of(map_to_image(chi_map(oblique(handed=handed), rng), 1))]
    normal = np.cross(heads[0]["read_dir"], heads[0]["phase_dir"])
    steps = np.diff([head["position"] for head in heads], axis=0)
    np.testing.assert_allclose(steps, np.tile(1.1 * normal, (3, 1)), atol=1e-4)


def test_later_echoes_are_numbered_behind_the_earlier_ones(rng):
    volume = chi_map(oblique(), rng, echo=2, echo_time_s=0.015)
    slices = list(slices_of(map_to_image(volume, 1)))
    assert [int(one.head["image_index"]) for one in slices] == [9, 10, 11, 12]
    numbers = [ismrmrd.Meta.deserialize(one.meta)["GADGETRON_ImageNumber"] for one in slices]
    assert numbers == ["9", "10", "11", "12"]


def test_a_slice_has_all_that_consoles_read_of_the_volume(rng):
    volume = chi_map(oblique(), rng)
    image = map_to_image(
        volume, 1, comment="a <&> µ", window=(0, 400), stored=quantise12(volume.data)
    )
    whole = ismrmrd.Meta.deserialize(image.meta)
    for one in slices_of(image):
        meta = ismrmrd.Meta.deserialize(one.meta)
        assert {k: v for k, v in meta.items() if k in whole} == whole | {
            "GADGETRON_ImageNumber": str(one.head["image_index"])
        }
        assert meta.keys() - whole.keys() == {"gadgetron_qsm_slices"}


@pytest.mark.parametrize("handed", HANDED)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("pixels", COUNTED)
def test_slices_in_any_order_make_the_map_again(rng, matrix, handed, pixels):
    volume = chi_map(oblique(matrix, handed), rng, repetition=3)
    image = map_to_image(volume, 1, stored=COUNTED[pixels](volume.data))
    slices = [over_the_wire(one) for one in slices_of(image)]
    (back,) = images_to_maps(slices[i] for i in rng.permutation(len(slices)))
    np.testing.assert_array_equal(back.data, image_to_map(image).data)
    assert dataclasses.replace(back, data=None) == dataclasses.replace(volume, data=None)
    np.testing.assert_allclose(back.data, volume.data, atol=0 if pixels == "float32" else 0.5001)


def test_slices_far_from_the_isocentre_make_the_very_geometry_again(rng):
    for position in rng.uniform(-500, 500, (20, 3)).tolist():
        geometry = dataclasses.replace(oblique((7, 2, 2)), position=tuple(position))
        slices = slices_of(map_to_image(chi_map(geometry, rng), 1))
        (back,) = images_to_maps(slices)
        assert back.geometry == geometry


def test_each_map_is_given_when_its_last_slice_has_come(rng):
    maps = [
        chi_map(oblique(), rng, echo=echo, repetition=repetition)
        for repetition in range(2)
        for echo in range(2)
    ]
    sent = [list(slices_of(map_to_image(volume, 1))) for volume in maps]
    mixed = [one for together in zip(*sent, strict=True) for one in together]
    whole = map_to_image(chi_map(oblique(), rng), 2)
    came = []

    def stream():
        for one in [*mixed[:-4], whole, *mixed[-4:]]:
            yield one
            came.append(one)

    for count, back in zip([12, 13, 14, 15, 16], images_to_maps(stream()), strict=True):
        assert len(came) == count
        expected = maps[count - 13] if count > 12 else image_to_map(whole)
        np.testing.assert_array_equal(back.data, expected.data)


def moved(image, **values):
    head = image.head.copy()
    for name, value in values.items():
        head[name] = value
    return Image(head, image.data, image.meta)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: s[:1] + s[2:], "1 of 4 slices are missing: map 'chi'"),
        (lambda s: [*s[:3], s[1]], "two slices are in one place.*map 'chi'"),
        (lambda s: [*s[:3], moved(s[3], position=s[3].head["position"] + 0.4)], "not evenly"),
    ],
)
def test_slices_that_make_no_volume_are_refused(rng, change, what):
    slices = list(slices_of(map_to_image(chi_map(oblique(), rng), 1)))
    with pytest.raises(QsmError, match=what):
        list(images_to_maps(change(slices)))


def test_one_slice_is_not_taken_for_the_map(rng):
    first = next(slices_of(map_to_image(chi_map(oblique(), rng), 1)))
    with pytest.raises(QsmError, match="a slice of map 'chi' came"):
        image_to_map(first)


def test_slices_that_were_moved_on_the_way_are_where_their_headers_say(rng):
    volume = chi_map(oblique(), rng)
    shift = np.array([5, 0, 0], np.float32)
    slices = [
        moved(one, position=one.head["position"] + shift)
        for one in slices_of(map_to_image(volume, 1))
    ]
    (back,) = images_to_maps(slices)
    np.testing.assert_allclose(back.geometry.position, [105.1, -200.2, 30.3], atol=1e-4)


def test_a_map_of_others_is_refused(make_image):
    with pytest.raises(QsmError, match="no map of gadgetron-qsm"):
        list(images_to_maps([make_image(np.zeros((1, 1, 2, 3), np.float32))]))
