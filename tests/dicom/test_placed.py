"""Scans through the whole chain: dcm2niix of our series, beside nibabel's image of the truth."""

from __future__ import annotations

import subprocess

import nibabel
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate, varied
from gadgetron_qsm.settings import Settings
from tests.sphere_scan import (
    CENTRE_MM,
    CHI_PPM,
    MATRIX,
    RADIUS_MM,
    VOXEL_MM,
    distance,
    header_text,
    norm,
    scan,
)

TOLERANCE_MM = 0.01
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
POSITION = np.array([13.7, -22.1, 31.9])
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix().T
MIRRORED = np.array([[1], [1], [-1]])
AXIAL = np.eye(3)
CORONAL = np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)])
SAGITTAL = np.array([(0, 1, 0), (0, 0, -1), (-1, 0, 0)])

# Patient coordinates are the patient's: how the patient lies must not turn or move anything.
SLABS = {
    "axial": (AXIAL, "HFS"),
    "axial, left-handed": (AXIAL * MIRRORED, "FFS"),
    "coronal": (CORONAL, "HFP"),
    "coronal, left-handed": (CORONAL * MIRRORED, "FFP"),
    "sagittal": (SAGITTAL, "HFDR"),
    "sagittal, left-handed": (SAGITTAL * MIRRORED, "HFDL"),
    "double oblique": (OBLIQUE, "FFDR"),
    "double oblique, left-handed": (OBLIQUE * MIRRORED, "FFDL"),
}


@pytest.fixture
def converted(program, tmp_path):
    """A function that runs a scan through the chain: its DICOM files, and dcm2niix' image."""

    def run(messages, header, name):
        settings = {"preset": "fast", "deliver.maps": name, "deliver.dicom_folder": str(tmp_path)}
        list(chain.qsm(messages, header, Settings.from_properties(settings)))
        files = sorted(tmp_path.rglob("*.dcm"))
        command = [program("dcm2niix"), "-f", "out", "-b", "n", "-o", str(tmp_path), "-z", "n"]
        subprocess.run([*command, str(files[0].parent)], check=True, capture_output=True)
        return files, nibabel.load(next(tmp_path.glob("out*.nii")))

    return run


def assert_same_grid(image, truth):
    """Compare where the voxels are; both images have their axes along those of the patient."""
    assert image.shape == truth.shape
    ends = np.meshgrid(*([0, n - 1] for n in image.shape), [1], indexing="ij")
    ends = np.reshape(ends, (4, 8))
    assert np.abs((image.affine - truth.affine) @ ends).max() < TOLERANCE_MM


@pytest.fixture(params=SLABS.values(), ids=list(SLABS))
def slab(request):
    return request.param


def truth_of(directions):
    """The sphere as nibabel has it, with voxel n//2 of each axis at the position."""
    axes = directions.T * VOXEL_MM[::-1]
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = POSITION - axes @ (np.array(MATRIX[::-1]) // 2)
    sphere = (norm(distance(CENTRE_MM)) < RADIUS_MM).astype(np.float32)
    image = nibabel.Nifti1Image(sphere.transpose(2, 1, 0), LPS_TO_RAS @ affine)
    return nibabel.as_closest_canonical(image)


def test_the_sphere_is_where_it_was_scanned_whichever_way_slab_and_patient_lie(slab, converted):
    directions, lying = slab
    position = f"<measurementInformation><patientPosition>{lying}</patientPosition>"
    before = "<experimentalConditions>"
    text = header_text().replace(before, f"{position}</measurementInformation>{before}", 1)
    messages = scan(directions, scanned=directions, position=POSITION)
    files, image = converted(messages, Header.parse(text), "chi")
    assert {pydicom.dcmread(file).PatientPosition for file in files} == {lying}
    image, truth = nibabel.as_closest_canonical(image), truth_of(directions)
    assert_same_grid(image, truth)
    chi_ppb, sphere = np.asanyarray(image.dataobj), np.asanyarray(truth.dataobj) > 0
    assert chi_ppb[sphere].mean() - chi_ppb[~sphere & (chi_ppb != 0)].mean() > 700 * CHI_PPM
    bright = np.argwhere(chi_ppb > 600 * CHI_PPM)
    centre = nibabel.affines.apply_affine(image.affine, bright).mean(axis=0)
    there = LPS_TO_RAS[:3, :3] @ (POSITION + np.array(CENTRE_MM[::-1]) @ directions)
    np.testing.assert_allclose(centre, there, atol=max(VOXEL_MM) / 2)


PROTOCOL = {
    "voxel_size_mm": (8.0, 6.0, 6.0),
    "coils": 2,
    "echo_times_s": (0.004, 0.012),
    "fine_per_voxel": 1,
    "tilt_deg": 25.0,
    "second_tilt_deg": -12.0,
    "position_mm": tuple(POSITION),
}


@pytest.mark.parametrize("variant", ["full", "odd-matrix", "oversampled", "slices"])
def test_the_simulated_head_is_where_its_truth_has_it(converted, tmp_path, variant):
    path = tmp_path / "head.h5"
    with np.load(simulate(path, varied(Scan(**PROTOCOL), [variant]))) as file:
        truth = dict(file)
    with RawFile(path) as raw:
        lines = (line for block in raw.blocks() for line in block)
        _, image = converted(lines, Header.parse(raw.header_text), "chi")
    brain = truth["brain"].transpose(2, 1, 0).astype(np.float32)
    head = nibabel.as_closest_canonical(nibabel.Nifti1Image(brain, truth["affine"]))
    image = nibabel.as_closest_canonical(image)
    assert_same_grid(image, head)
    found, brain = np.asanyarray(image.dataobj) != 0, np.asanyarray(head.dataobj) > 0
    assert (found & brain).sum() > 0.8 * max(found.sum(), brain.sum())
