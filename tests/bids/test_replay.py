"""A scan that is replayed into a dataset as well: the images beside its DICOM objects."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import h5py
import nibabel
import numpy as np
import pytest

from gadgetron_qsm.bids.names import Entities
from gadgetron_qsm.bids.place import DERIVATIVES, holds
from gadgetron_qsm.cohort.finished import Input, settings_hash
from gadgetron_qsm.cohort.task import Task, perform, place_of
from gadgetron_qsm.dicom.grid_of_series import read_slices
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.nifti import read_volume
from gadgetron_qsm.replay import replay
from tests.bids_scan import assert_same_places, private
from tests.report.conftest import SECRETS
from tests.sphere_scan import (
    CENTRE_MM,
    CHI_PPM,
    RADIUS_MM,
    distance,
    header_text,
    norm,
    scan,
    write_raw,
)

POSITION = (13.7, -22.1, 31.9)
QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi,magnitude,mask"}
HASH = settings_hash("qsm", QUICK)
TOLERANCE_MM = 0.01
HALF_A_PPB = 0.00051  # what rounding to DICOM's counts takes away, in ppm
STEM = "sub-01_ses-a_run-2"
pytestmark = pytest.mark.usefixtures("done")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A scan, lying askew, of which DICOM has chi, magnitude and mask."""
    folder = tmp_path_factory.mktemp("scan")
    write_raw(folder / "scan.h5", list(scan(position=POSITION)), private(header_text()))
    return Task(
        "sub-01/ses-a/sub-01_ses-a_run-2",
        folder / "scan.h5",
        folder / "out",
        HASH,
        overrides=QUICK,
        bids=folder / "bids",
        label="01",
        session="a",
    )


@pytest.fixture(scope="module")
def done(task):
    return perform(task)


@pytest.fixture(scope="module")
def derived(task):
    return task.bids / DERIVATIVES / "sub-01" / "ses-a" / "anat"


@pytest.fixture(scope="module")
def raw_data(task):
    return task.bids / "sub-01" / "ses-a" / "anat"


def series(folder, description):
    return next(folder.glob(f"dicom/*_{description}"))


def test_a_scan_goes_where_its_task_says(task, done, raw_data, derived):
    stems = {path.name.rsplit("_", 1)[0] for path in (*raw_data.iterdir(), *derived.iterdir())}
    assert stems >= {STEM, f"{STEM}_desc-brain", f"{STEM}_echo-3_part-phase"}
    maps = {path.name for path in derived.glob("*.nii.gz")}
    assert {f"{STEM}_{name}.nii.gz" for name in ("Chimap", "R2starmap", "T2starmap")} < maps
    assert not list(task.bids.rglob("*fieldmap*"))  # which came for the report alone
    source = Input.of(task.raw)
    assert place_of(task, source).entities == Entities("01", "a", None, "2")
    assert holds(place_of(task, source), done.maps)
    assert place_of(replace(task, bids=None), source) is None


def test_the_dicom_objects_are_those_without_a_dataset(task, tmp_path):
    replay(task.raw, tmp_path, overrides=QUICK)
    plain = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*.dcm")}
    assert {path.relative_to(task.folder) for path in task.folder.rglob("*.dcm")} == set(plain)
    for name, path in plain.items():
        assert path.read_bytes() == (task.folder / name).read_bytes()
    assert len(maps_in(tmp_path / "images.h5")) > 3
    assert maps_in(task.folder / "images.h5") == maps_in(tmp_path / "images.h5")


def maps_in(path):
    """Return the pixels of an ISMRMRD file's images; their groups have other numbers."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visit(names.append)
        return sorted(file[name][()].tobytes() for name in names if name.endswith("/data"))


def test_chi_is_where_the_dicom_series_has_it(task, derived):
    dicom = read_slices(series(task.folder, "QSM_chi"))
    values, geometry = read_volume(derived / f"{STEM}_Chimap.nii.gz")
    np.testing.assert_allclose(values, dicom.values / 1000, rtol=0, atol=HALF_A_PPB)
    np.testing.assert_allclose(geometry.affine, dicom.geometry.affine, atol=TOLERANCE_MM)
    sphere = norm(distance(CENTRE_MM)) < RADIUS_MM
    assert values[sphere].mean() - values[~sphere & (values != 0)].mean() > 0.6 * CHI_PPM


def test_dcm2niix_of_the_series_has_the_same_values_at_the_same_places(
    task, derived, program, tmp_path
):
    command = [program("dcm2niix"), "-f", "out", "-b", "n", "-o", str(tmp_path), "-z", "n"]
    folder = str(series(task.folder, "QSM_chi"))
    subprocess.run([*command, folder], check=True, capture_output=True)
    theirs = nibabel.load(next(tmp_path.glob("*.nii")))
    ours = nibabel.load(derived / f"{STEM}_Chimap.nii.gz")
    assert_same_places(ours, theirs, HALF_A_PPB)


def test_phase_rises_with_time_where_the_field_is_above_b0(raw_data):
    first, second = (
        read_volume(raw_data / f"{STEM}_echo-{n}_part-phase_MEGRE.nii.gz")[0] for n in (1, 2)
    )
    along_b0 = np.abs(norm(distance(CENTRE_MM)) - RADIUS_MM - 3) < 2
    b0 = json.loads((raw_data / f"{STEM}_echo-1_part-phase_MEGRE.json").read_bytes())["B0_dir"]
    at = distance(CENTRE_MM)
    cosine = sum(b * part for b, part in zip(b0[::-1], at, strict=True)) / np.maximum(norm(at), 1)
    pole = along_b0 & (np.abs(cosine) > 0.9)
    equator = along_b0 & (np.abs(cosine) < 0.2)
    turned = np.angle(np.exp(1j * (second - first)))
    assert np.abs(first).max() <= np.float32(np.pi)
    assert turned[pole].mean() > 0.2
    assert turned[equator].mean() < 0


def test_no_file_tells_the_patient(task):
    files = [path for path in task.bids.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes() if path.suffix == ".json" else b""
        told = content.decode() + str(path.relative_to(task.bids))
        assert not [secret for secret in SECRETS if secret in told]
    assert not [path for path in files if path.stat().st_mode & 0o007]


def test_a_place_that_is_taken_is_told_before_anything_is_computed(task, tmp_path):
    other = replace(task, folder=tmp_path / "out")
    with task.raw.open("rb") as file:
        changed = file.read() + b" "
    (tmp_path / "scan.h5").write_bytes(changed)
    with pytest.raises(QsmError, match="is not of this scan"):
        perform(replace(other, raw=tmp_path / "scan.h5"))
    assert not (tmp_path / "out").exists()
