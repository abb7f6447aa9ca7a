import nibabel
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.nifti import read_volume, write_volume

TURN = np.deg2rad(20)
OBLIQUE = Geometry(
    (5, 6, 7),
    (2.0, 1.0, 0.5),
    (10.0, -20.0, 30.0),
    (np.cos(TURN), np.sin(TURN), 0),
    (np.sin(TURN), -np.cos(TURN), 0),
    (0, 0, -1),
)


@pytest.fixture
def data():
    return np.random.default_rng(1).standard_normal(OBLIQUE.matrix).astype(np.float32)


def test_a_volume_comes_back_as_it_was(tmp_path, data):
    write_volume(tmp_path / "chi.nii.gz", data, OBLIQUE)
    values, geometry = read_volume(tmp_path / "chi.nii.gz")
    np.testing.assert_array_equal(values, data)
    np.testing.assert_allclose(geometry.affine, OBLIQUE.affine, atol=1e-4)
    assert geometry.matrix == OBLIQUE.matrix


def test_a_voxel_lies_in_ras_where_the_patient_has_it(tmp_path, data):
    write_volume(tmp_path / "chi.nii.gz", data, OBLIQUE)
    image = nibabel.load(tmp_path / "chi.nii.gz")
    x, y, z = (n // 2 for n in image.shape)
    centre = image.affine @ [x, y, z, 1]
    np.testing.assert_allclose(centre[:3], (-10, 20, 30), atol=1e-4)
    assert image.header["sform_code"] == 1


def test_a_mask_is_one_of_bytes(tmp_path, data):
    write_volume(tmp_path / "mask.nii.gz", data > 0, OBLIQUE)
    values, _ = read_volume(tmp_path / "mask.nii.gz")
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values > 0, data > 0)


@pytest.mark.parametrize(
    ("affine", "shape", "told"),
    [
        (np.eye(4), (3, 3, 3, 2), "4 dimensions"),
        (np.eye(4) + np.diag([0.5, 0.5], 2), (3, 3, 3), "sheared"),
    ],
)
def test_what_is_no_volume_is_refused_in_a_line(tmp_path, affine, shape, told):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.float32), affine), tmp_path / "a.nii.gz")
    with pytest.raises(QsmError, match=told):
        read_volume(tmp_path / "a.nii.gz")


def test_a_file_that_is_none_is_refused_by_its_name(tmp_path):
    with pytest.raises(QsmError, match="there is no"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(b"no image")
    with pytest.raises(QsmError, match="cannot read"):
        read_volume(tmp_path / "a.nii.gz")
