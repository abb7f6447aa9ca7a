from __future__ import annotations

import io

import ismrmrd
import numpy as np
import pydicom
import pytest

from gadgetron_qsm.dicom.console import PIXELS, images_of, to_message
from gadgetron_qsm.dicom.forms import FORMS, objects
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.outgoing_sections import DeliverSettings


@pytest.fixture
def chi(make_map, geometry):
    data = 300 * np.random.default_rng(1).standard_normal(geometry.matrix).astype(np.float32)
    report = {
        "provenance": {"reference": {"method": "mean", "region": "whole brain"}},
        "warnings": ["2 lines are missing"],
    }
    return make_map("chi", data=data, report=report)


def only_image(volume, header, **settings):
    (image,) = images_of(volume, 4, header, DeliverSettings(**settings))
    return image, ismrmrd.Meta.deserialize(image.meta)


def test_an_image_says_what_it_is_relative_to_what_and_what_is_wrong_with_it(chi, header):
    image, meta = only_image(chi, header)
    assert image.head["image_series_index"] == 4
    for part in ("Magnetic susceptibility in ppb", "relative to whole brain", "2 lines are mis"):
        assert part in meta["ImageComments"]
    assert "not for clinical use" in meta["ImageComments"]
    assert (meta["SeriesDescription"], meta["ImageType"]) == ("QSM chi", "QSM")
    assert (meta["WindowCenter"], meta["WindowWidth"]) == ("0", "400")


def test_a_map_without_a_window_of_its_own_gets_that_of_its_values(make_map, geometry, header):
    data = np.full(geometry.matrix, 1000.6, np.float32)
    _, meta = only_image(make_map("magnitude", data=data, echo=1, echo_time_s=0.0098), header)
    assert (meta["WindowCenter"], meta["WindowWidth"]) == ("500", "1001")
    assert meta["EchoTime"] == "9.8"


@pytest.mark.parametrize(("pixels", "dtype"), [*zip(PIXELS, "fiu", strict=True)])
@pytest.mark.parametrize("slices", [False, True])
def test_images_have_the_pixels_that_are_asked_for(chi, header, pixels, dtype, slices):
    settings = DeliverSettings(image_pixels=pixels, image_slices=slices)
    images = list(images_of(chi, 1, header, settings))
    assert len(images) == (5 if slices else 1)
    assert {image.data.dtype.kind for image in images} == {dtype}
    (back,) = images_to_maps(images)
    np.testing.assert_allclose(back.data, chi.data, atol=0 if dtype == "f" else 0.5001)


@pytest.mark.parametrize("pixels", PIXELS)
def test_values_that_pixels_cannot_hold_are_counted_in_the_comment(make_map, chi, header, pixels):
    data = chi.data.copy()
    data[0, 0, :2] = np.nan, np.inf
    data[0, 1, 0] = 1e6
    image, meta = only_image(make_map("chi", data=data), header, image_pixels=pixels)
    assert "2 voxels without a finite value were set to 0." in meta["ImageComments"]
    assert ("1 voxels beyond" in meta["ImageComments"]) == (pixels != "float32")
    back = image_to_map(image).data
    assert (back[0, 0, :2] == 0).all()
    largest = {"float32": 1e6, "int16": 32767, "uint12": 20 * (4095 - 2048)}
    assert back[0, 1, 0] == largest[pixels]


@pytest.mark.parametrize("form", FORMS)
def test_dicom_messages_are_whole_files_of_the_form_asked_for(chi, header, form):
    files = [to_message(dataset) for dataset in objects(chi, header, form)]
    read = [pydicom.dcmread(io.BytesIO(file.data)) for file in files]
    for file, dataset in zip(files, read, strict=True):
        assert file.data[128:132] == b"DICM"
        assert file.name == f"{dataset.SeriesNumber}_{dataset.InstanceNumber:04d}"
    assert len({file.name for file in files}) == len(files) == (5 if form in SINGLE else 1)


SINGLE = ("classic", "rescaled")
