"""The files of a scan in a dataset: names, values, sidecars, and whose they are."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.bids import scan as of_scan
from gadgetron_qsm.bids.dataset import require_dataset
from gadgetron_qsm.bids.names import entities
from gadgetron_qsm.bids.place import DERIVATIVES, Place, holds
from gadgetron_qsm.bids.scan import write_scan
from gadgetron_qsm.dicom.grid_of_series import read_slices
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.checklist import SOURCE as CONSENSUS
from tests.bids_scan import (
    EVERY,
    GEOMETRY,
    SOURCE,
    assert_same_places,
    header_of,
    maps_of,
    names_in,
    settings_of,
    sidecar,
)
from tests.report.conftest import SECRETS
from tests.sphere_scan import LARMOR_HZ, TE_S
from tests.written import write_series

ANAT = DERIVATIVES / "sub-01" / "anat"
ALL = ",".join(EVERY)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
UNITS = {  # file, map, what its values are times
    "anat/sub-01_Chimap": ("chi", 1e-3, "ppm"),
    "anat/sub-01_R2starmap": ("r2star", 1, "1/s"),
    "anat/sub-01_T2starmap": ("t2star", 1e-3, "s"),
    "anat/sub-01_desc-positive_Chimap": ("chi_positive", 1e-3, "ppm"),
    "anat/sub-01_desc-noise_Chimap": ("noise", 1e-3, "ppm"),
    "anat/sub-01_desc-swi_T2starw": ("swi", 1, "arbitrary"),
    "fmap/sub-01_desc-total_fieldmap": ("total_field", LARMOR_HZ * 1e-9, "Hz"),
}


@pytest.fixture
def one(maps):
    """The maps by name, of echoes the first one's."""
    return {volume.name: volume for volume in reversed(maps)}


@pytest.fixture
def maps():
    return maps_of(header_of())


def digests(header):
    """Return what replay.Replayed.maps has of chi, and of a map that does not matter."""
    chis = (volume for volume in maps_of(header) if volume.name == "chi")
    return {f"chi {chi.repetition + 1}": chi.digest for chi in chis} | {"chi_positive 1": "x"}


def test_a_scan_has_its_echoes_as_raw_data_and_its_maps_as_derivatives(written):
    root = written("sub-01/ses-b/sub-01_ses-b_acq-x_run-2")
    stem, folder = "sub-01_ses-b_acq-x_run-2", "sub-01/ses-b/anat"
    parts = [f"echo-{n}_part-{part}_MEGRE" for n in (1, 2, 3) for part in ("mag", "phase")]
    maps = ["Chimap", "R2starmap", "T2starmap", "desc-brain_mask"]
    found = [f"derivatives/gadgetron-qsm/{folder}/{stem}_{name}.nii.gz" for name in maps]
    assert names_in(root) == found + [f"{folder}/{stem}_{part}.nii.gz" for part in parts]
    assert len(list(root.rglob("*.json"))) == len(names_in(root))


def test_a_scan_of_one_echo_is_no_multi_echo_and_has_no_decay(written):
    root = written(echoes=1)
    assert [path.rsplit("/", 1)[1] for path in names_in(root)] == [
        "sub-01_Chimap.nii.gz",
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_part-mag_T2starw.nii.gz",
        "sub-01_part-phase_T2starw.nii.gz",
    ]
    assert sidecar(root / ANAT / "sub-01_Chimap.nii.gz")["EchoTime"] == TE_S[0]


def test_repetitions_are_runs(written):
    root = written(repetitions=2)
    assert [path.rsplit("/", 1)[1] for path in names_in(root / DERIVATIVES)] == [
        f"sub-01_run-{run}_{name}.nii.gz"
        for run in (1, 2)
        for name in ("Chimap", "R2starmap", "T2starmap", "desc-brain_mask")
    ]
    first, second = (root / ANAT / f"sub-01_run-{n}_Chimap.nii.gz" for n in (1, 2))
    assert (nibabel.load(first).get_fdata() != nibabel.load(second).get_fdata()).any()
    assert sidecar(second)["Sources"][0].endswith("/sub-01_run-2_echo-1_part-mag_MEGRE.nii.gz")


@pytest.mark.parametrize("name", UNITS)
def test_values_are_in_the_units_of_bids(written, one, name):
    path = written(maps=ALL) / DERIVATIVES / "sub-01" / f"{name}.nii.gz"
    of, factor, unit = UNITS[name]
    image = nibabel.load(path)
    np.testing.assert_allclose(image.get_fdata().T, one[of].data * factor, rtol=1e-6)
    assert image.get_data_dtype() == np.float32
    assert sidecar(path)["Units"] == unit


def test_a_field_that_a_server_sent_in_hertz_stays_so(maps, tmp_path):
    sent = [replace(v, unit="Hz") if v.name == "total_field" else v for v in maps]
    place = Place(tmp_path, entities("sub-01"), SOURCE)
    write_scan(place, sent, header_of(), settings_of("total_field"))
    path = tmp_path / DERIVATIVES / "sub-01" / "fmap" / "sub-01_desc-total_fieldmap.nii.gz"
    expected = next(volume.data for volume in sent if volume.name == "total_field")
    np.testing.assert_array_equal(nibabel.load(path).get_fdata().T, expected)


def test_phase_is_in_radians_and_masks_are_bytes(written, one):
    root = written(maps="csf")
    name = "sub-01_echo-1_part-phase_MEGRE.nii.gz"
    phase = nibabel.load(root / "sub-01" / "anat" / name)
    np.testing.assert_allclose(phase.get_fdata().T, one["phase"].data / 1000, rtol=1e-6)
    assert sidecar(root / "sub-01" / "anat" / name)["Units"] == "rad"
    for mask, kind in (("desc-brain", "Brain"), ("label-CSF", "ROI")):
        path = root / ANAT / f"sub-01_{mask}_mask.nii.gz"
        assert nibabel.load(path).get_data_dtype() == np.uint8
        assert set(np.unique(nibabel.load(path).get_fdata())) == {0, 1}
        assert sidecar(path)["Type"] == kind


def test_every_image_lies_where_the_scan_was(written):
    root = written(maps=ALL)
    for name in names_in(root):
        image = nibabel.load(root / name)
        assert image.shape == GEOMETRY.matrix[::-1]
        np.testing.assert_allclose(image.affine, LPS_TO_RAS @ GEOMETRY.affine, atol=1e-5)
        assert image.header["sform_code"] == image.header["qform_code"] == 1


@pytest.mark.parametrize("hand", [1, -1])
@pytest.mark.parametrize("shape", [(5, 7, 9), (4, 8, 6), (5, 8, 7)])
def test_chi_has_the_place_that_dcm2niix_finds_in_dicom(maps, program, tmp_path, shape, hand):
    across = tuple(hand * np.array(GEOMETRY.slice_dir))
    geometry = replace(GEOMETRY, matrix=shape, slice_dir=across)
    data = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape) - 20
    placed = [replace(volume, data=data, geometry=geometry) for volume in maps]
    header, place = header_of(), Place(tmp_path / "bids", entities("sub-01"), SOURCE)
    write_scan(place, placed, header, settings_of())
    files = write_series(replace(placed[0], report={}), header, tmp_path / "dicom")
    command = [program("dcm2niix"), "-f", "out", "-b", "n", "-o", str(tmp_path), "-z", "n"]
    subprocess.run([*command, str(files[0].parent)], check=True, capture_output=True)
    ours = nibabel.load(place.root / ANAT / "sub-01_Chimap.nii.gz")
    assert_same_places(ours, nibabel.load(tmp_path / "out.nii"), 1e-6)
    dicom = read_slices(files[0].parent)
    assert_same_places(
        ours, nibabel.Nifti1Image(dicom.values.T, LPS_TO_RAS @ dicom.geometry.affine), 1e-6
    )


def test_sidecars_of_echoes_tell_scanner_and_sequence(written):
    root = written()
    told = sidecar(root / "sub-01" / "anat" / "sub-01_echo-2_part-mag_MEGRE.nii.gz")
    expected = {
        "Units": "arbitrary",
        "EchoTime": TE_S[1],
        "RepetitionTimeExcitation": 0.032,
        "RepetitionTime": 0.032,
        "FlipAngle": 12,
        "MagneticFieldStrength": 3,
        "ImagingFrequency": 123.2,
        "Manufacturer": "SIEMENS",
        "ManufacturersModelName": "Prisma",
        "SequenceName": "gre",
        "PulseSequenceDetails": "Flash",
        "MRAcquisitionType": "3D",
        "ReceiveCoilActiveElements": "HC1;HC2",
        "NumberReceiveCoilActiveElements": 2,
        "ParallelReductionFactorInPlane": 1,
        "AcquisitionVoxelSize": [2, 2, 2.5],
    }
    assert {key: told[key] for key in expected} == expected
    assert told["B0_dir"] == pytest.approx(GEOMETRY.b0_direction[::-1], abs=1e-6)
    assert set(told["QSM"]["Methods"]) == {"kspace"}


def test_sidecars_of_maps_tell_how_they_were_made(written):
    root = written()
    told = sidecar(root / ANAT / "sub-01_Chimap.nii.gz")
    echoes = [
        f"bids:raw:sub-01/anat/sub-01_echo-{n}_part-{part}_MEGRE.nii.gz"
        for part in ("mag", "phase")
        for n in (1, 2, 3)
    ]
    assert (told["Sources"], told["EchoTime"]) == (echoes, list(TE_S))
    assert told["EstimationAlgorithm"] == "ss_tv"
    assert told["EstimationReference"] == "doi:10.1002/nbm.3570; doi:10.1002/mrm.23000"
    assert told["SkullStripped"] is True
    block = told["QSM"]
    assert block["Methods"]["inversion"]["regularisation"] == 1.5e-5
    assert block["Reference"]["sd_ppb"] == 25.1481
    assert (block["Warnings"], block["Checklist"]["source"]) == (["no noise scan"], CONSENSUS)
    values = {item["text"]: item["value"] for item in block["Checklist"]["items"]}
    assert values["TR"] == "32 ms"
    assert not [text for text in values if "PACS" in text]
    decay = sidecar(root / ANAT / "sub-01_R2starmap.nii.gz")
    assert decay["Sources"] == echoes[:3]
    assert "Checklist" not in decay["QSM"]


def test_no_file_tells_the_patient_nor_the_measurement(written):
    root = written(maps=ALL)
    told = "".join(path.read_text() + path.name for path in root.rglob("*.json"))
    assert not [secret for secret in (*SECRETS, "271828") if secret in told]
    for name in names_in(root):
        head = nibabel.load(root / name).header
        assert (head["descrip"], head["db_name"], head["aux_file"]) == (b"", b"", b"")


def test_a_scan_done_again_replaces_its_own_files_alone(written):
    root = written("sub-01_run-1", maps=ALL)
    written("sub-01_run-1_acq-x", root=root)
    written("sub-01", root=root)
    others = {path: path.stat().st_mtime_ns for path in root.rglob("sub-01_[!r]*")}
    before = set(root.rglob("sub-01_run-1_*"))
    written("sub-01_run-1", root=root)
    gone = before - set(root.rglob("sub-01_run-1_*"))
    assert {path.name.split(".")[0] for path in gone} >= {
        "sub-01_run-1_desc-swi_T2starw",
        "sub-01_run-1_label-CSF_mask",
        "sub-01_run-1_desc-total_fieldmap",
        "sub-01_run-1_desc-total_magnitude",
    }
    assert {path: path.stat().st_mtime_ns for path in others} == others
    fresh = written("sub-01_run-1", root=root.parent / "fresh")
    assert names_in(fresh) == [name for name in names_in(root) if "/sub-01_run-1_" in name]


def test_files_of_another_raw_file_are_kept_and_told(written):
    root = written()
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    with pytest.raises(QsmError) as refused:
        written(root=root, source="another")
    assert "sub-01/anat/sub-01_echo-1_part-mag_MEGRE.json in" in str(refused.value)
    assert "is not of this scan; rename the scan sub-<label>" in str(refused.value)
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before


def test_a_raw_file_that_was_mended_in_its_place_replaces_what_was_made_of_it(written):
    root = written(path="there")
    again = written(root=root, source="mended", path="there")
    sidecar = again / "sub-01" / "anat" / "sub-01_echo-1_part-mag_MEGRE.json"
    assert json.loads(sidecar.read_text())["QSM"]["RawDataSHA256"] == "mended"
    with pytest.raises(QsmError, match="is not of this scan"):
        written(root=root, source="another", path="elsewhere")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".json"])
def test_files_of_another_program_are_kept_and_told(written, tmp_path, suffix):
    path = tmp_path / "bids" / "sub-01" / "anat" / f"sub-01_echo-1_part-mag_MEGRE{suffix}"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(QsmError, match="is not of this scan"):
        written()
    assert path.read_text() == "{}"


def test_other_images_of_the_subject_do_not_matter(written, tmp_path):
    folder = tmp_path / "bids" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    (folder / "sub-01_T2starw.nii.gz").write_text("theirs")
    (folder / "sub-01_T1w.nii.gz").write_text("theirs")
    written()
    assert (folder / "sub-01_T2starw.nii.gz").read_text() == "theirs"


def test_a_run_of_several_repetitions_is_refused(written):
    with pytest.raises(QsmError, match=r"sub-01_run-1 has 2 repetitions, .* take run-1 out"):
        written("sub-01_run-1", repetitions=2)


def test_a_scan_that_was_interrupted_can_be_done_again(written, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise QsmError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(of_scan, "write_volume", fail)
        with pytest.raises(QsmError, match="no room"):
            written()
    place, found = Place(tmp_path / "bids", entities("sub-01"), SOURCE), digests(header_of())
    assert not holds(place, found)
    require_dataset(place.root)
    written()
    assert holds(place, found)


@pytest.mark.parametrize("repetitions", [1, 2])
def test_a_dataset_holds_a_scan_of_the_same_data_with_the_same_maps(written, repetitions):
    root, found = written(repetitions=repetitions), digests(header_of(repetitions=repetitions))
    assert holds(Place(root, entities("sub-01"), SOURCE), found)
    assert not holds(Place(root, entities("sub-01"), "another"), found)
    assert not holds(Place(root, entities("sub-0"), SOURCE), found)
    assert not holds(Place(root, entities("sub-01"), SOURCE), {})
    (root / ANAT / names_in(root / ANAT)[0]).unlink()
    assert not holds(Place(root, entities("sub-01"), SOURCE), found)


def test_a_dataset_does_not_hold_a_scan_without_an_echo(written):
    root, found = written(), digests(header_of())
    (root / "sub-01" / "anat" / "sub-01_echo-2_part-phase_MEGRE.nii.gz").unlink()
    assert not holds(Place(root, entities("sub-01"), SOURCE), found)


def test_a_dataset_does_not_hold_maps_of_other_settings(written):
    root, found = written(repetitions=2), digests(header_of(repetitions=2))
    assert not holds(Place(root, entities("sub-01"), SOURCE), found | {"chi 2": "of others"})


def test_a_place_that_cannot_be_written_is_told(written, tmp_path):
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "sub-01").write_text("a file")
    with pytest.raises(QsmError, match="cannot "):
        written()


def test_a_scan_without_its_phase_is_refused(tmp_path):
    header = header_of()
    maps = maps_of(header, ("chi", "magnitude"))
    place = Place(tmp_path, entities("sub-01"), SOURCE)
    with pytest.raises(QsmError, match="the server sent no mask, no phase"):
        write_scan(place, maps, header, settings_of())
    assert not list(tmp_path.iterdir())
