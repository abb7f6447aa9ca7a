"""What settings have measured in the maps of a scan, and what a fault there costs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.dicom.of_scan import ScanObjects
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.measure.folder import read_visit
from gadgetron_qsm.measurement.gadget import measure
from gadgetron_qsm.measurement.run import Measurement
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map, map_to_image
from gadgetron_qsm.mrd.messages import DicomFile
from gadgetron_qsm.nifti import read_volume
from gadgetron_qsm.outgoing import Outgoing
from gadgetron_qsm.report.record import Record
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.wanted import require_places
from tests.measurement.labelled import halves, write_labels
from tests.sphere_map import run
from tests.sphere_scan import header_text

QUIET = {"deliver.maps": "chi", "measure.noise_samples": "0"}
SUBJECT = (
    "<subjectInformation><patientName>Doe^Jane</patientName><patientID>P-17</patientID>"
    "<patientBirthdate>1960-11-05</patientBirthdate></subjectInformation>"
    "<studyInformation><studyDate>2026-11-05</studyDate></studyInformation>"
)


@pytest.fixture(scope="module")
def maps():
    """Those that a measurement looks at, and the field that nobody asked for."""
    asked = "chi,r2star,magnitude,total_field,mask,noise"
    images = run({"deliver.maps": asked, "measure.noise_samples": "2"})
    return [image_to_map(image) for image in images]


@pytest.fixture
def labels(maps, tmp_path):
    return write_labels(tmp_path, maps[0].geometry)


def header(subject=""):
    before = "<experimentalConditions>"
    return Header.parse(header_text().replace(before, subject + before))


def delivered(maps, properties, subject=""):
    settings = Settings.from_properties({**QUIET, **properties})
    return list(chain.deliver(maps, header(subject), settings))


def content(folder):
    (path,) = folder.glob("*/measurement.json")
    return json.loads(path.read_text())


def test_the_numbers_of_the_maps_in_the_regions_are_left_in_a_folder(maps, labels, tmp_path):
    out = tmp_path / "out"
    delivered(maps, {"measure.labels": str(labels), "measure.folder": str(out)})
    (table,) = out.glob("*/regions.csv")
    lines = csv.DictReader(table.read_text().splitlines())
    rows = {(line["region"], line["side"], line["map"]): line for line in lines}
    chi, rate = (next(m.data for m in maps if m.name == name) for name in ("chi", "r2star"))
    left = rows["putamen", "left", "chi"]
    assert float(left["mean"]) == pytest.approx(chi[halves() == 1].mean(), abs=0.01)
    assert float(left["standard_error"]) > 0
    assert left["unit"] == "ppb"
    right = rows["putamen", "right", "r2star"]
    assert float(right["mean"]) == pytest.approx(rate[halves() == 2].mean(), abs=0.01)
    (sides,) = [row for row in content(out)["asymmetries"] if row["map"] == "chi"]
    assert sides["left_minus_right"] == pytest.approx(
        chi[halves() == 1].mean() - chi[halves() == 2].mean(), abs=0.01
    )


def test_a_folder_is_one_that_visits_are_compared_by(maps, labels, tmp_path):
    out = tmp_path / "out"
    asked = {"measure.labels": str(labels), "measure.folder": str(out)}
    delivered(maps, asked, SUBJECT)
    (folder,) = out.iterdir()
    visit = read_visit(folder)
    chi = next(m for m in maps if m.name == "chi")
    np.testing.assert_array_equal(visit.scan.chi, chi.data)
    np.testing.assert_allclose(visit.scan.geometry.affine, chi.geometry.affine, atol=1e-4)
    assert [s.label for s in visit.labels.structures] == ["left putamen", "right putamen"]
    assert visit.acquired.isoformat() == "2026-11-05T00:00:00"
    files = b"".join(path.read_bytes() for path in folder.glob("*.*"))
    assert not [word for word in (b"Doe", b"P-17", b"1960") if word in files]


def test_the_console_has_all_images_before_anything_is_measured(
    maps, labels, tmp_path, monkeypatch
):
    told = []
    measured = Measurement.of
    monkeypatch.setattr(Measurement, "of", lambda *of: told.append("measured") or measured(*of))
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    settings = Settings.from_properties({**QUIET, **asked, "deliver.maps": "chi,mask"})
    images = chain.deliver(maps, header(), settings)
    told.extend(image_to_map(image).name for image in images)
    assert told == ["chi", "mask", "measured"]


def test_regions_are_outlined_and_measured_in_dicom(maps, labels):
    asked = {
        "measure.labels": str(labels),
        "deliver.measurements": "true",
        "deliver.console": "dicom",
    }
    files = [f for f in delivered(maps, asked) if isinstance(f, DicomFile)]
    *_, outlined, report = [pydicom.dcmread(io.BytesIO(file.data)) for file in files]
    assert [segment.SegmentLabel for segment in outlined.SegmentSequence] == [
        "whole brain",
        "left putamen",
        "right putamen",
    ]
    assert (outlined.Modality, report.Modality) == ("SEG", "SR")


def outlined(folder):
    (path,) = folder.glob("*/*_regions/*.dcm")
    return pydicom.dcmread(path)


def test_a_region_called_as_one_of_the_map_costs_no_objects(maps, tmp_path):
    labels = write_labels(tmp_path, maps[0].geometry, names={"1": "whole brain", "2": "CSF"})
    csf = replace(next(m for m in maps if m.name == "mask"), name="csf")
    asked = {"measure.labels": str(labels), "deliver.measurements": "true"}
    before = [m for m in maps if m.name != "mask"]
    masks = [m for m in maps if m.name == "mask"]
    delivered([*before, csf, *masks], {**asked, "deliver.dicom_folder": str(tmp_path / "dicom")})
    assert [segment.SegmentLabel for segment in outlined(tmp_path / "dicom").SegmentSequence] == [
        "whole brain",
        "CSF",
        "whole brain (labelled)",
        "CSF (labelled)",
    ]


def test_labels_that_were_corrected_make_another_object(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "deliver.segmentation": "true"}
    corrected = halves()
    corrected[tuple(np.argwhere(corrected == 1)[0])] = 0
    found = []
    for number, values in enumerate((halves(), halves(), corrected)):
        write_labels(tmp_path, maps[0].geometry, values)
        folder = tmp_path / f"dicom{number}"
        delivered(maps, {**asked, "deliver.dicom_folder": str(folder)})
        found.append(outlined(folder).SOPInstanceUID)
    assert found[0] == found[1] != found[2]


def test_labels_on_another_grid_cost_no_map_and_no_other_part(maps, tmp_path):
    moved = replace(maps[0].geometry, position=(40.0, 0.0, 0.0))
    asked = {
        "measure.labels": str(write_labels(tmp_path, moved)),
        "measure.folder": str(tmp_path / "out"),
        "measure.sources": "true",
        "deliver.measurements": "true",
        "deliver.dicom_folder": str(tmp_path / "dicom"),
    }
    came = []
    settings = Settings.from_properties({**QUIET, **asked})
    with pytest.raises(QsmError, match="lies elsewhere than the scan") as told:
        came.extend(chain.deliver(maps, header(), settings))
    assert [image_to_map(image).name for image in came] == ["chi"]
    assert "\n" not in str(told.value)
    found = content(tmp_path / "out")
    assert found["warnings"][-1].startswith("measure.labels lies elsewhere than the scan")
    assert found["sources"]["found"] is not None
    assert [row["region"] for row in found["regions"]] == ["whole brain"] * 2
    assert len(list((tmp_path / "dicom").glob("*/*_measurements/*.dcm"))) == 1


def test_an_atlas_without_names_is_told_before_the_first_map_and_costs_none(maps, tmp_path, caplog):
    write_labels(tmp_path, maps[0].geometry, names=None)
    asked = {"measure.atlas": str(tmp_path), "measure.folder": str(tmp_path / "out")}
    told = []

    def coming():
        told.extend(record.message for record in caplog.records)
        yield from maps

    came = []
    messages = chain.deliver(coming(), header(), Settings.from_properties({**QUIET, **asked}))
    with pytest.raises(QsmError, match="no names"):
        came.extend(messages)
    assert len(came) == 1
    assert "no names" in told[-1]


def test_a_fault_of_ours_in_one_part_costs_no_other(maps, labels, tmp_path, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.measurement.parts.found_sources", lambda *_: 1 / 0)
    asked = {
        "measure.labels": str(labels),
        "measure.folder": str(tmp_path / "out"),
        "measure.sources": "true",
    }
    with pytest.raises(QsmError, match="the measurement of sources failed: ZeroDivisionError"):
        delivered(maps, asked)
    assert len(content(tmp_path / "out")["asymmetries"]) == 2


def test_regions_that_all_lie_outside_the_map_are_told(maps, tmp_path):
    values = np.zeros_like(halves())
    values[0, 0, 0] = 1
    labels = write_labels(tmp_path, maps[0].geometry, values, {"1": "putamen"})
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    with pytest.raises(QsmError, match="no region lies where the map holds"):
        delivered(maps, asked)
    assert {row["region"] for row in content(tmp_path / "out")["regions"]} == {"whole brain"}


def test_a_map_that_a_measurement_has_no_room_for_is_kept_all_the_same(
    maps, labels, tmp_path, monkeypatch
):
    def full(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(Measurement, "see", full)
    asked = {"measure.labels": str(labels), "deliver.measurements": "true"}
    with pytest.raises(QsmError, match="the measurement failed: MemoryError: no room"):
        delivered(maps, {**asked, "deliver.dicom_folder": str(tmp_path / "dicom")})
    made = sorted(p.name.partition("_")[2] for p in (tmp_path / "dicom").glob("*/*"))
    assert made == ["QSM_chi", "QSM_chi_measurements", "QSM_chi_regions"]


def test_a_scan_that_fails_is_not_measured(maps, labels, tmp_path):
    def broken():
        yield from maps[:2]
        raise QsmError("the scan was cut short")

    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    with pytest.raises(QsmError, match="cut short"):
        delivered(broken(), asked)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_costs_the_console_no_report(maps, labels, tmp_path):
    (tmp_path / "file").touch()
    asked = {
        "measure.labels": str(labels),
        "deliver.measurements": "true",
        "deliver.dicom_folder": str(tmp_path / "file"),
        "deliver.console": "dicom",
    }
    came = []
    messages = chain.deliver(maps, header(), Settings.from_properties({**QUIET, **asked}))
    with pytest.raises(QsmError, match="cannot write"):
        came.extend(messages)
    kinds = [pydicom.dcmread(io.BytesIO(file.data)).Modality for file in came]
    assert kinds[-2:] == ["SEG", "SR"]


def test_a_scan_that_fails_later_leaves_the_regions_of_the_maps_that_came(
    maps, labels, tmp_path, caplog
):
    def broken():
        yield from maps
        raise QsmError("repetition 2: the scan was cut short")

    asked = {"measure.labels": str(labels), "deliver.segmentation": "true"}
    with pytest.raises(QsmError, match="cut short"):
        delivered(broken(), {**asked, "deliver.dicom_folder": str(tmp_path)})
    assert [s.SegmentLabel for s in outlined(tmp_path).SegmentSequence] == ["whole brain"]
    assert "the scan failed: nothing was measured in repetition 1" in caplog.text


def test_controls_of_the_site_give_z_scores_at_the_patients_age(maps, labels, tmp_path):
    chi = next(m.data for m in maps if m.name == "chi")
    table = tmp_path / "controls.csv"
    mean = chi[halves() == 1].mean() - 20
    table.write_text(f"region,side,age,mean,sd\nputamen,left,65,{mean},10\n")  # invented
    asked = {"measure.labels": str(labels), "measure.controls": str(table)}
    out = {"measure.folder": str(tmp_path / "out")}
    delivered(maps, {**asked, **out}, SUBJECT)
    (score,) = content(tmp_path / "out")["z_scores"]
    assert score["z"] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("subject", "age", "told"),
    [
        ("", 65, "no z-scores: the header tells no birth date or no study date"),
        (SUBJECT, 20, "no z-scores: no control is of these regions at 66 years"),
    ],
)
def test_a_scan_without_z_scores_is_well_and_says_why(maps, labels, tmp_path, subject, age, told):
    table = tmp_path / "controls.csv"
    table.write_text(f"region,age,mean,sd\nputamen,{age},50,10\n")  # invented
    asked = {"measure.labels": str(labels), "measure.controls": str(table)}
    delivered(maps, {**asked, "measure.folder": str(tmp_path / "out")}, subject)
    found = content(tmp_path / "out")
    assert found["z_scores"] == []
    assert found["warnings"][-1] == told


def test_a_table_of_controls_that_cannot_be_read_costs_the_z_scores_alone(maps, labels, tmp_path):
    table = tmp_path / "controls.csv"
    table.write_text("region,mean\nputamen,50\n")
    asked = {"measure.labels": str(labels), "measure.controls": str(table)}
    with pytest.raises(QsmError, match="has no column sd"):
        delivered(maps, {**asked, "measure.folder": str(tmp_path / "out")}, SUBJECT)
    found = content(tmp_path / "out")
    assert (len(found["regions"]), found["z_scores"]) == (6, [])
    assert found["warnings"][0].startswith("measure.controls has no column sd")


def test_an_age_that_is_none_costs_the_z_scores_alone(maps, labels, tmp_path):
    table = tmp_path / "controls.csv"
    table.write_text("region,side,age,mean,sd\nputamen,left,65,50,10\n")  # invented
    asked = {"measure.labels": str(labels), "measure.controls": str(table)}
    born = SUBJECT.replace("1960", "1800")  # as those who hide a birth date write it
    with pytest.raises(QsmError, match="the patient's age is"):
        delivered(maps, {**asked, "measure.folder": str(tmp_path / "out")}, born)
    found = content(tmp_path / "out")
    assert (len(found["regions"]), found["z_scores"]) == (6, [])


@pytest.mark.parametrize("name", ["putamen", "L Putamen"])
def test_a_planned_structure_is_found_as_atlases_write_it(maps, labels, tmp_path, name):
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    delivered(maps, {**asked, "measure.planned": name})
    structures = [row["structure"] for row in content(tmp_path / "out")["contrast"]]
    assert structures == ["left putamen", "right putamen"]


def test_the_lesion_side_names_ipsi_and_contralateral(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    delivered(maps, {**asked, "measure.lesion_side": "right"})
    for row in content(tmp_path / "out")["asymmetries"]:
        assert row["ipsilateral"] == row["right"]


def test_a_planned_structure_that_is_no_region_is_told(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    with pytest.raises(QsmError, match="'STN', which is no region of this scan; there are putamen"):
        delivered(maps, {**asked, "measure.planned": "STN"})
    delivered(maps, asked)  # nobody asked for the default


def test_the_report_shows_that_nothing_could_be_measured(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "deliver.report_folder": str(tmp_path / "out")}
    with pytest.raises(QsmError, match="no map 'mask' came"):
        delivered([m for m in maps if m.name != "mask"], asked)
    (page,) = (tmp_path / "out").glob("*/report.html")
    assert "nothing is measured: no map 'mask' came" in page.read_text()


def test_the_report_shows_what_was_measured(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "deliver.report_folder": str(tmp_path / "out")}
    delivered(maps, {**asked, "measure.sources": "true"})
    (page,) = (tmp_path / "out").glob("*/report.html")
    text = page.read_text()
    assert "Regions in three planes" in text
    assert "left putamen" in text
    assert "Strong sources" in text
    assert "putamen, chi, ppb" in text
    assert "Research, not for diagnosis." in text
    report = json.loads(page.with_name("report.json").read_text())
    assert report["measurements"][0]["repetition"] == 1
    assert report["measurements"][0]["regions"]


def test_what_could_not_be_measured_is_told_without_the_names_of_files(maps, tmp_path):
    private = tmp_path / "Doe_Jane"
    private.mkdir()
    labels = write_labels(private, maps[0].geometry, names=None)
    (private / "labels.json").write_text("[]")
    table = private / "Doe.csv"
    table.write_text("region,side,age,mean,sd\nputamen,left,65,50,10\n")  # invented
    out = tmp_path / "out"
    asked = {
        "measure.labels": str(labels),
        "measure.lesions": str(private / "Doe.nii.gz"),
        "measure.controls": str(table),
        "measure.anatomical": str(private / "T1"),
        "measure.folder": str(out),
        "deliver.report_folder": str(out),
    }
    with pytest.raises(QsmError, match="cannot read the names"):
        delivered(maps, asked)
    (folder,) = out.iterdir()
    texts = [path.read_text() for path in folder.iterdir() if path.suffix in (".json", ".html")]
    assert not [text for text in texts if "Doe" in text]
    page = (folder / "report.html").read_text()
    assert "Not measured" in page
    assert "cannot read the names in measure.labels.json" in page
    assert "there is no measure.lesions" in page


def test_what_the_last_map_warns_of_is_told(maps, labels, tmp_path):
    *others, last = maps
    warned = replace(last, report={**last.report, "warnings": ["no noise map: not enough memory"]})
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    delivered([*others, warned], asked)
    assert content(tmp_path / "out")["warnings"] == ["no noise map: not enough memory"]


def test_a_map_on_an_earlier_anatomical_grid_goes_with_its_measurement(maps, labels, tmp_path):
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    delivered(maps, asked)
    (folder,) = (tmp_path / "out").iterdir()
    earlier = folder / "chi_anatomical.nii.gz"
    earlier.touch()
    delivered(maps, asked)
    assert not earlier.exists()


def test_the_gadget_passes_maps_on_as_they_are_and_measures_them(maps, labels, tmp_path):
    images = [map_to_image(volume, index) for index, volume in enumerate(maps, start=1)]
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    settings = Settings.from_properties({**QUIET, **asked})
    passing = measure(images, header(), settings)
    for image in images:
        assert next(passing) is image
    assert not (tmp_path / "out").exists()
    assert list(passing) == []
    assert content(tmp_path / "out")["regions"]


def test_the_gadget_leaves_what_it_measures_and_no_images_of_maps(maps, labels, tmp_path):
    images = [map_to_image(volume, index) for index, volume in enumerate(maps, start=1)]
    asked = {
        "measure.labels": str(labels),
        "deliver.measurements": "true",
        "deliver.dicom_folder": str(tmp_path / "dicom"),
    }
    list(measure(images, header(), Settings.from_properties({**QUIET, **asked})))
    made = sorted(p.name.partition("_")[2] for p in (tmp_path / "dicom").glob("*/*"))
    assert made == ["QSM_chi_measurements", "QSM_chi_regions"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"measure.labels": "there"}, "measure: what is measured goes nowhere"),
        ({"measure.labels": "a", "measure.atlas": "b"}, "both given"),
        ({"measure.controls": "a"}, "measure.controls needs regions"),
        ({"measure.noise_samples": "1"}, "one map tells nothing"),
        ({"measure.smallest_mm": "12"}, "smallest_mm is not below"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(asked, told):
    with pytest.raises(UsageError, match=told):
        delivered([], {**QUIET, **asked})


def test_chi_on_an_anatomical_grid_may_leave_as_a_series_alone(tmp_path):
    asked = {"measure.anatomical": "there", "deliver.dicom_folder": str(tmp_path)}
    require_places(Settings.from_properties(asked))


def test_the_gadget_without_anything_to_measure_is_refused():
    with pytest.raises(UsageError, match="measure: nothing is asked for"):
        list(measure([], header(), Settings.from_properties(QUIET)))


def test_maps_that_are_measured_are_made():
    asked = {"deliver.maps": "chi", "measure.sources": "true", "measure.folder": "out"}
    wanted = chain.wanted(Settings.from_properties(asked))
    assert wanted == ("chi", "r2star", "magnitude", "mask", "noise")
    wanted = chain.wanted(Settings.from_properties({**asked, "measure.noise_samples": "0"}))
    assert "noise" not in wanted


def test_a_scan_of_many_repetitions_holds_the_regions_of_one(maps, labels):
    repeated = [replace(volume, repetition=n) for n in range(3) for volume in maps]
    record = Record(header())
    asked = {"measure.labels": str(labels), "deliver.maps": "chi", "deliver.segmentation": "true"}
    scan = Outgoing(header(), Settings.from_properties(asked), record=record)
    for volume in repeated:
        scan.objects(scan.seen(volume))
    scan.measure()
    assert [bool(found.labels) for found in record.measurements] == [True, False, False]
    assert not any(found.regions for found in record.measurements)


def test_every_repetition_is_measured_in_a_folder_of_its_own(maps, labels, tmp_path):
    again = [replace(volume, repetition=1) for volume in maps]
    asked = {"measure.labels": str(labels), "measure.folder": str(tmp_path / "out")}
    delivered([*maps, *again], asked)
    found = sorted(p.relative_to(tmp_path / "out").parts[1] for p in tmp_path.rglob("regions.csv"))
    assert found == ["regions.csv", "repetition_2"]


def test_objects_of_regions_wait_for_what_is_measured(maps):
    asked = {"deliver.measurements": "true", "deliver.maps": "chi"}
    chi, mask = (next(m for m in maps if m.name == name) for name in ("chi", "mask"))
    for more, made in (({}, 2), ({"measure.sources": "true"}, 0)):
        scan = ScanObjects(header(), Settings.from_properties({**asked, **more}))
        list(scan.images(chi))
        assert not list(scan.of_regions(chi))
        assert len(list(scan.of_regions(mask))) == made


def places_of(images):
    return {tuple(np.round(np.array(i.ImagePositionPatient, float), 6)) for i in images}


def test_chi_comes_on_the_grid_of_an_anatomical_series_in_its_frame(maps, tmp_path):
    places = {"deliver.dicom_folder": str(tmp_path / "dicom")}
    delivered(maps, {**places, "deliver.maps": "magnitude"})
    (anatomy,) = (tmp_path / "dicom").glob("*/*_Magnitude")
    out = {"measure.folder": str(tmp_path / "out"), "deliver.report_folder": str(tmp_path / "page")}
    delivered(maps, {**places, **out, "measure.anatomical": str(anatomy)})
    (page,) = (tmp_path / "page").glob("*/report.html")
    assert "share one frame of reference; no registration was needed" in page.read_text()
    (resliced,) = (tmp_path / "dicom").glob("*/*_QSM_chi_on_anatomical_grid")
    first = [pydicom.dcmread(path) for path in anatomy.iterdir()]
    slices = [pydicom.dcmread(path) for path in resliced.iterdir()]
    assert {image.FrameOfReferenceUID for image in slices} == {first[0].FrameOfReferenceUID}
    assert places_of(slices) == places_of(first)
    chi = next(volume for volume in maps if volume.name == "chi")
    (path,) = (tmp_path / "out").glob("*/chi_anatomical.nii.gz")
    values, geometry = read_volume(path)
    assert np.abs(values).max() == pytest.approx(np.abs(chi.data).max(), rel=1e-4)
    assert content(tmp_path / "out")["anatomical"]["told"].startswith("map and anatomical series")
    np.testing.assert_allclose(np.sort(geometry.voxel_size), np.sort(chi.geometry.voxel_size))
