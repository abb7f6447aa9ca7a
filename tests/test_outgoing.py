"""Where a scan's maps go besides the console, by settings, and what a fault there costs."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.delivery import letters
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.dicom.files import save
from gadgetron_qsm.dicom.forms import objects
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import DicomFile, Image
from gadgetron_qsm.settings import Settings
from tests.sphere_map import run
from tests.sphere_scan import LARMOR_HZ, MATRIX, header_text

SLICES = MATRIX[0]
NOBODY = "archive=ARCHIVE@127.0.0.1:1"  # a port that nothing listens on


@pytest.fixture(scope="module")
def maps():
    """What the next gadget may choose from, of the sphere."""
    images = run({"deliver.maps": "chi,magnitude,total_field,mask"})
    return [image_to_map(image) for image in images]


def delivered(maps, properties):
    settings = Settings.from_properties(properties)
    return list(chain.deliver(maps, Header.parse(header_text()), settings))


def read(files):
    return [pydicom.dcmread(io.BytesIO(file.data)) for file in files]


def test_dicom_messages_come_instead_of_images_or_behind_them(maps):
    alone = delivered(maps, {"deliver.maps": "chi", "deliver.console": "dicom"})
    both = delivered(maps, {"deliver.maps": "chi", "deliver.console": "both"})
    assert [type(message) for message in alone] == [DicomFile] * SLICES
    assert [type(message) for message in both] == [Image, *[DicomFile] * SLICES]
    assert [dataset.InstanceNumber for dataset in read(alone)] == list(range(1, SLICES + 1))


def test_a_field_leaves_in_hertz_where_that_is_asked_for(maps, tmp_path):
    asked = {"deliver.maps": "total_field", "deliver.dicom_folder": str(tmp_path)}
    (image,) = delivered(maps, {**asked, "deliver.field_unit": "Hz"})
    ppb = next(volume for volume in maps if volume.name == "total_field").data
    hertz = image_to_map(image)
    assert hertz.unit == "Hz"
    np.testing.assert_allclose(hertz.data, ppb * LARMOR_HZ * 1e-9, rtol=1e-4, atol=1e-4)
    (folder,) = tmp_path.glob("*/*")
    assert (
        np.abs(np.sort(read_series(folder)[0], axis=0) - np.sort(hertz.data, axis=0)).max() < 0.06
    )


def test_a_field_that_came_in_hertz_is_not_converted_again(maps):
    asked = {"deliver.maps": "total_field", "deliver.field_unit": "Hz"}
    (image,) = delivered(maps, asked)
    (again,) = delivered([image_to_map(image)], asked)
    np.testing.assert_array_equal(image_to_map(again).data, image_to_map(image).data)


def test_a_field_is_stored_as_finely_as_it_is_inside_the_mask(maps, caplog):
    chi, field = (next(v for v in maps if v.name == name) for name in ("chi", "total_field"))
    inside = chi.data != 0
    noisy = field.data.copy()
    noisy[~inside] = 1e5 * np.sign(field.data[~inside] + 0.5)
    asked = {"deliver.maps": "total_field", "deliver.form": "rescaled", "deliver.field_unit": "Hz"}
    came = [chi, replace(field, data=noisy)]
    with caplog.at_level("INFO"):
        files = read(delivered(came, {**asked, "deliver.console": "dicom"}))
        (image,) = delivered(came, {**asked, "deliver.image_pixels": "uint12"})
    assert {float(dataset.RescaleSlope) for dataset in files} == {0.1}
    outside = np.count_nonzero(~inside)
    assert (
        f"{outside} voxels outside the mask beyond the 12-bit range were" in files[0].ImageComments
    )
    hertz = field.data * LARMOR_HZ * 1e-9
    np.testing.assert_allclose(image_to_map(image).data[inside], hertz[inside], atol=0.051)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_field_without_chi_of_its_repetition_is_stored_whole(maps):
    chi, field = (next(v for v in maps if v.name == name) for name in ("chi", "total_field"))
    outside = np.where(chi.data == 0, np.float32(30_000), field.data)
    asked = {"deliver.maps": "total_field", "deliver.image_pixels": "uint12"}
    for repetition, most in ((0, 2047), (1, 30_000)):
        came = [chi, replace(field, data=outside, repetition=repetition)]
        (image,) = delivered(came, asked)
        assert image_to_map(image).data.max() == pytest.approx(most, rel=0.001)


def test_regions_come_with_the_mask_though_it_is_not_delivered_itself(maps):
    asked = {"deliver.maps": "chi", "deliver.console": "dicom", "deliver.measurements": "true"}
    *images, outlined, measured = read(delivered(maps, asked))
    assert {dataset.Modality for dataset in images} == {"MR"}
    assert (outlined.Modality, measured.Modality) == ("SEG", "SR")
    inside = next(volume for volume in maps if volume.name == "mask").data > 0
    assert np.count_nonzero(outlined.pixel_array) == np.count_nonzero(inside)


def test_regions_that_no_mask_came_for_are_missed(maps):
    asked = {"deliver.maps": "chi", "deliver.console": "dicom", "deliver.segmentation": "true"}
    with pytest.raises(QsmError, match="no Segmentation"):
        delivered(maps[:1], asked)


def test_regions_without_chi_are_refused():
    with pytest.raises(UsageError, match="add chi"):
        Settings.from_properties({"deliver.maps": "r2star", "deliver.segmentation": "true"})


@pytest.mark.parametrize("what", ["deliver.segmentation", "deliver.measurements"])
def test_objects_of_regions_are_refused_where_no_object_leaves(what):
    with pytest.raises(UsageError, match=f"{what}.* none leave"):
        delivered([], {what: "true"})


def test_the_maps_that_regions_and_report_need_are_made():
    settings = Settings.from_properties(
        {"deliver.maps": "chi", "deliver.segmentation": "true", "reference.region": "csf"}
    )
    assert chain.wanted(settings) == ("chi", "csf", "mask")
    settings = Settings.from_properties({"deliver.maps": "chi", "deliver.report_folder": "there"})
    assert chain.wanted(settings) == ("chi", "magnitude", "mask")


def test_every_object_loses_the_patient_where_that_is_asked_for(maps):
    header = header_text().replace(
        "<experimentalConditions>",
        "<subjectInformation><patientName>Doe^Jane</patientName><patientID>P-17</patientID>"
        "</subjectInformation><experimentalConditions>",
    )
    asked = {"deliver.maps": "chi", "deliver.console": "dicom", "deliver.measurements": "true"}
    secret = {"identity.deidentify": "true", "identity.key": "a secret of this site alone"}

    def files(properties):
        settings = Settings.from_properties(properties)
        return list(chain.deliver(maps, Header.parse(header), settings))

    assert all(b"Doe" in file.data and b"P-17" in file.data for file in files(asked))
    cleaned = files({**asked, **secret})
    assert not any(b"Doe" in file.data or b"P-17" in file.data for file in cleaned)
    *images, outlined, _ = read(cleaned)
    referred = {
        item.ReferencedSOPInstanceUID
        for item in outlined.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referred <= {image.SOPInstanceUID for image in images}


def test_objects_wait_in_the_outbox_for_an_archive_that_is_not_there(maps, tmp_path):
    asked = {"deliver.maps": "chi", "store.nodes": NOBODY, "store.outbox": str(tmp_path)}
    (image,) = delivered(maps, asked)
    assert image_to_map(image).name == "chi"
    with Outbox(tmp_path) as outbox:
        (line,) = letters.lines(outbox)
    assert (line.node, line.state, line.objects) == ("archive", "waiting", SLICES)


def test_a_scan_leaves_a_report_where_that_is_asked_for(maps, tmp_path):
    delivered(maps, {"deliver.maps": "chi", "deliver.report_folder": str(tmp_path)})
    (folder,) = tmp_path.iterdir()
    names = {"report.json", "provenance.json", "report.html", "picture.png", "thumbnail.png"}
    assert {path.name for path in folder.iterdir()} == names
    report = json.loads((folder / "report.json").read_text())
    assert report["provenance"]["inversion"]
    (series,) = report["series"]
    assert (series["name"], series["images"], series["folder"]) == ("chi", SLICES, None)


def test_a_scan_that_fails_half_way_leaves_its_report_all_the_same(maps, tmp_path):
    def broken():
        yield maps[0]
        raise QsmError("the scan was cut short")

    with pytest.raises(QsmError, match="the scan was cut short"):
        delivered(broken(), {"deliver.maps": "chi", "deliver.report_folder": str(tmp_path)})
    (report,) = tmp_path.glob("*/report.json")
    assert "the scan was cut short" in json.loads(report.read_text())["warnings"][-1]


def test_a_folder_that_cannot_be_written_costs_neither_console_nor_archive(maps, tmp_path):
    (tmp_path / "file").touch()
    asked = {
        "deliver.maps": "chi,magnitude",
        "deliver.dicom_folder": str(tmp_path / "file"),
        "store.nodes": NOBODY,
        "store.outbox": str(tmp_path / "outbox"),
    }
    came = []
    messages = chain.deliver(maps, Header.parse(header_text()), Settings.from_properties(asked))
    with pytest.raises(QsmError, match="cannot write"):
        came.extend(image_to_map(image).name for image in messages)
    assert came == ["chi", *["magnitude"] * 3]
    with Outbox(tmp_path / "outbox") as outbox:
        (line,) = letters.lines(outbox)
    assert line.objects == 4 * SLICES


def test_an_outbox_that_cannot_be_used_costs_neither_console_nor_folder(maps, tmp_path, caplog):
    (tmp_path / "file").touch()
    asked = {
        "deliver.maps": "chi,mask",
        "deliver.dicom_folder": str(tmp_path / "dicom"),
        "store.nodes": NOBODY,
        "store.outbox": str(tmp_path / "file" / "outbox"),
    }
    came = []
    messages = chain.deliver(maps, Header.parse(header_text()), Settings.from_properties(asked))
    with pytest.raises(QsmError, match="outbox"):
        came.extend(messages)
    assert len(came) == 2
    assert len(list(tmp_path.glob("dicom/*/*/*.dcm"))) == 2 * SLICES
    (line,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith(f"the outbox {tmp_path}/file/outbox cannot be used: Not a directory; ")


def test_an_outbox_that_cannot_be_used_is_told_before_the_first_map_is_made(tmp_path, caplog):
    (tmp_path / "file").touch()
    asked = {"store.nodes": NOBODY, "store.outbox": str(tmp_path / "file")}
    told = []

    def maps():
        told.extend(record.message for record in caplog.records)
        raise QsmError("no map")
        yield

    with pytest.raises(QsmError, match="no map"):
        delivered(maps(), asked)
    assert any("cannot be used" in line for line in told)


def test_maps_for_those_who_look_alone_are_images_and_nothing_else(maps, tmp_path):
    asked = {
        "deliver.maps": "chi",
        "deliver.image_maps": "mask,total_field",
        "deliver.dicom_folder": str(tmp_path),
    }
    images = [image_to_map(message).name for message in delivered(maps, asked)]
    assert sorted(images) == ["chi", "mask", "total_field"]
    assert [folder.name.partition("_")[2] for folder in tmp_path.glob("*/*")] == ["QSM_chi"]
    messages = delivered(maps, {**asked, "deliver.console": "dicom"})
    images = [image_to_map(m).name for m in messages if isinstance(m, Image)]
    assert sorted(images) == ["mask", "total_field"]


def test_maps_for_those_who_look_alone_are_made():
    asked = {"deliver.maps": "chi", "deliver.image_maps": "local_field"}
    assert chain.wanted(Settings.from_properties(asked)) == ("chi", "local_field")


def test_a_fault_in_one_maps_objects_costs_no_other_map(maps, tmp_path, monkeypatch):
    def faulty(volume, *others):
        if volume.name == "chi":
            raise ZeroDivisionError("of ours")
        return objects(volume, *others)

    monkeypatch.setattr("gadgetron_qsm.dicom.of_scan.objects", faulty)
    asked = {"deliver.maps": "chi,mask", "deliver.dicom_folder": str(tmp_path)}
    came = []
    messages = chain.deliver(maps, Header.parse(header_text()), Settings.from_properties(asked))
    with pytest.raises(QsmError, match="DICOM objects of map 'chi' failed: ZeroDivisionError"):
        came.extend(image_to_map(image).name for image in messages)
    assert came == ["chi", "mask"]
    assert [folder.name.partition("_")[2] for folder in tmp_path.glob("*/*")] == ["Brain_mask"]


def test_what_came_is_kept_when_the_console_wants_no_more(maps, tmp_path):
    asked = {"deliver.maps": "chi,mask", "deliver.dicom_folder": str(tmp_path)}
    messages = chain.deliver(maps, Header.parse(header_text()), Settings.from_properties(asked))
    next(messages)
    next(messages)  # chi has gone on when the mask comes
    messages.close()
    assert len(list(tmp_path.glob("*/*/*.dcm"))) == SLICES


def test_the_console_does_not_wait_for_files(maps, tmp_path, monkeypatch):
    console_has_all = threading.Event()

    def patient(dataset, folder):
        assert console_has_all.wait(10)
        return save(dataset, folder)

    monkeypatch.setattr("gadgetron_qsm.outgoing.save", patient)
    asked = {"deliver.maps": "chi,mask", "deliver.dicom_folder": str(tmp_path)}
    messages = chain.deliver(maps, Header.parse(header_text()), Settings.from_properties(asked))
    assert [image_to_map(next(messages)).name for _ in range(2)] == ["chi", "mask"]
    console_has_all.set()
    assert list(messages) == []
    assert len(list(tmp_path.glob("*/*/*.dcm"))) == 2 * SLICES
