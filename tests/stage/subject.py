"""A subject for stages: a sphere, seen with B0 oblique and no two axes alike."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.stage import run_stage
from tests.analytic import OBLIQUE, ball, sphere_field

SHAPE, VOXEL_SIZE = (22, 26, 30), (2.0, 1.5, 1.2)  # z, y, x
RADIUS_MM, CENTRE_MM = 6.0, (2.0, -3.0, 3.6)
CHI_PPM = 0.8
TE_S, B0_T = (0.004, 0.009, 0.016), 3.0
HZ_PER_PPM = 42.577478518 * B0_T
AFFINE = np.array([[0, 0, -2, 31], [1.2, 0, 0, -7], [0, 1.5, 0, 4], [0, 0, 0, 1.0]])
PARAMS = {
    "TE": list(TE_S),
    "B0": B0_T,
    "B0_dir": list(OBLIQUE[::-1]),
    "voxel_size": list(VOXEL_SIZE[::-1]),
}

SPHERE = ball(SHAPE, VOXEL_SIZE, RADIUS_MM, CENTRE_MM)
FIELD = CHI_PPM * sphere_field(SHAPE, VOXEL_SIZE, RADIUS_MM, OBLIQUE, CENTRE_MM)
MASK = ball(SHAPE, VOXEL_SIZE, 18.0)
INSIDE = ball(SHAPE, VOXEL_SIZE, 12.0)
SLOPE = np.linspace(-0.3, 0.5, SHAPE[0], dtype=np.float32)[:, None, None]  # a background, ppm


def save(folder, name, data):
    """Write an array (z, y, x) or (echo, z, y, x) as a NIfTI file (x, y, z) or (x, y, z, echo)."""
    data = data.astype(np.uint8 if data.dtype == bool else np.float32)
    image = nibabel.Nifti1Image(np.ascontiguousarray(data.T), AFFINE)
    nibabel.save(image, folder / f"{name}.nii.gz")


def read(folder, name):
    """Return a map (z, y, x) of a folder, after a look at what it is."""
    image = nibabel.load(folder / f"{name}.nii.gz")
    assert image.get_data_dtype() == np.float32
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(image.header.get_zooms(), VOXEL_SIZE[::-1], rtol=1e-6)
    return image.get_fdata(dtype=np.float32).T


def changed(folder, **values):
    (folder / "params.json").write_text(json.dumps({**PARAMS, **values}))


def configure(folder, **values):
    (folder / "config.json").write_text(json.dumps(values))


def refused(name, folder, method=None, kind=QsmError):
    with pytest.raises(QsmError) as error:
        run_stage(name, folder, folder / "out", method)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
    assert not (folder / "out").exists()
    return str(error.value)


def contrast_of(chi):
    """How much the inner half of the sphere stands out, ppm."""
    core = ball(SHAPE, VOXEL_SIZE, RADIUS_MM / 2, CENTRE_MM)
    return chi[core].mean() - np.median(chi[INSIDE & ~SPHERE])
