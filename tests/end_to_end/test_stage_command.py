"""`stage` as a process, as QSM-CI runs it: files in, files out, exit status, one line."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from tests.analytic import ball, sphere_field
from tests.end_to_end.peers import COMMAND

SHAPE, VOXEL_SIZE, B0 = (20, 24, 28), (1.5, 1.2, 1.0), (0.0, 0.6, 0.8)  # z, y, x


def stage(*arguments):
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "stage", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path):
    """A sphere's field; the folder is read-only, as QSM-CI's is."""
    source = tmp_path / "input"
    source.mkdir()
    affine = np.diag([*VOXEL_SIZE[::-1], 1.0])
    field = sphere_field(SHAPE, VOXEL_SIZE, 5.0, B0)
    for name, data in (("localfield", field), ("mask", ball(SHAPE, VOXEL_SIZE, 14.0))):
        image = nibabel.Nifti1Image(data.T.astype(np.float32), affine)
        nibabel.save(image, source / f"{name}.nii.gz")
    params = {"TE": [0.01], "B0": 7, "B0_dir": B0[::-1], "voxel_size": VOXEL_SIZE[::-1]}
    (source / "params.json").write_text(json.dumps(params))
    source.chmod(0o555)
    yield source
    source.chmod(0o755)


def test_a_stage_leaves_its_map_and_status_0(folder, tmp_path):
    done = stage("dipole", "--input", folder, "--output", tmp_path / "out", "--method", "tv")
    assert (done.returncode, done.stderr) == (0, "")
    image = nibabel.load(tmp_path / "out" / "chimap.nii.gz")
    chi = image.get_fdata().T
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chimap.nii.gz"]
    assert chi[ball(SHAPE, VOXEL_SIZE, 3.0)].mean() > 0.6  # of 1; few voxels make the sphere
    assert "inversion: tv(" in done.stdout
    assert f"written: {tmp_path}/out/chimap.nii.gz" in done.stdout


def test_a_missing_file_is_status_1_and_one_line(folder, tmp_path):
    done = stage("bfr", "--input", folder, "--output", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"gadgetron-qsm: there is no {folder}/totalfield.nii.gz\n"


def test_wrong_use_is_status_2_and_one_line(folder, tmp_path):
    done = stage("dipoles", "--input", folder, "--output", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "there is no stage 'dipoles'; did you mean 'dipole'?" in line


def test_methods_lists_every_stage_with_its_methods():
    done = stage("--methods")
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert [row.split()[0] for row in rows] == [
        "field-mapping", "bfr", "dipole", "bfr+dipole", "end-to-end", "chi-separation",
    ]  # fmt: skip
    assert "inversion: tv" in done.stdout
