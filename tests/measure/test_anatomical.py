from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.anatomical import Anatomy, on_anatomy, read_anatomy
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import write_volume
from tests.measure.moved_head import GRID, NUCLEI, motion, scan_of

FRAME, OTHER_FRAME = "1.2.3", "1.2.4"
SLOPES = np.array([3.0, -2.0, 5.0])  # ppb per mm, LPS
TURN = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix()
PLAIN = Geometry((30, 32, 34), (2, 1.5, 1.5), (4, -6, 3), (1, 0, 0), (0, 1, 0), (0, 0, 1))
GRIDS = {
    "same": PLAIN,
    "oblique": replace(
        PLAIN, read_dir=tuple(TURN[:, 0]), phase_dir=tuple(TURN[:, 1]), slice_dir=tuple(TURN[:, 2])
    ),
    "left-handed": replace(PLAIN, slice_dir=(0, 0, -1), matrix=(31, 32, 33)),
    "anisotropic": replace(PLAIN, matrix=(9, 61, 40), voxel_size=(5.5, 0.7, 1.1)),
    "sagittal": replace(PLAIN, read_dir=(0, 1, 0), phase_dir=(0, 0, -1), slice_dir=(-1, 0, 0)),
}


def points(geometry):
    z, y, x = np.indices(geometry.matrix)
    return (np.stack([x, y, z, np.ones_like(x)], axis=-1) @ geometry.affine.T)[..., :3]


def ramp(geometry, mask=None):
    """A scan whose values tell where a voxel is."""
    chi = (points(geometry) @ SLOPES).astype(np.float32)
    mask = np.ones(geometry.matrix, bool) if mask is None else mask
    return Scan(np.where(mask, chi, 0), chi, mask, geometry)


def anatomy(geometry, frame=FRAME):
    return Anatomy(np.zeros(geometry.matrix, np.float32), geometry, frame)


@pytest.mark.parametrize("own", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("onto", GRIDS.values(), ids=GRIDS)
def test_a_point_stays_where_it_is_within_a_hundredth_of_a_voxel(own, onto):
    found = on_anatomy(ramp(own), anatomy(onto), frame_of_reference=FRAME)
    index = np.linalg.inv(own.affine)
    at = points(onto) @ index[:3, :3].T + index[:3, 3]
    # half a voxel of the anatomy, over which the mean is taken, in own voxels
    reach = np.abs(index[:3, :3] @ onto.affine[:3, :3]).sum(axis=1) / 2
    inside = np.all((at > reach) & (at < np.array(own.matrix[::-1]) - 1 - reach), axis=-1)
    assert inside.sum() > 50
    assert found.mask[inside].all()
    off = np.abs(found.chi - points(onto) @ SLOPES)[inside]
    # along each axis of the anatomy, what a voxel of shift would do
    steps = np.abs(onto.affine[:3, :3].T @ SLOPES)
    assert off.max() < 0.01 * steps.min()
    assert found.rigid is None
    assert found.geometry is onto


def test_a_value_beside_the_mask_is_not_pulled_to_zero():
    z, y, x = np.indices(PLAIN.matrix)
    mask = (z - 15) ** 2 + (y - 16) ** 2 + (x - 17) ** 2 < 100
    found = on_anatomy(ramp(PLAIN, mask), anatomy(GRIDS["oblique"]), frame_of_reference=FRAME)
    constant = replace(ramp(PLAIN, mask), chi=np.where(mask, np.float32(70), 0))
    chi = on_anatomy(constant, anatomy(GRIDS["oblique"]), frame_of_reference=FRAME).chi
    np.testing.assert_allclose(chi[found.mask], 70, rtol=1e-4)
    assert not chi[~found.mask].any()
    assert found.mask.sum() == pytest.approx(mask.sum(), rel=0.02)


def test_thick_slices_have_the_mean_and_not_one_of_the_thin_ones():
    noise = np.random.default_rng(0).normal(0, 10, PLAIN.matrix).astype(np.float32)
    thick = replace(PLAIN, matrix=(5, 32, 34), voxel_size=(12, 1.5, 1.5))
    found = on_anatomy(
        replace(ramp(PLAIN), chi=noise), anatomy(thick), frame_of_reference=FRAME
    ).chi[2]
    assert found.std() < 10 / np.sqrt(4)


def test_in_another_frame_of_reference_the_head_is_registered():
    scan, _ = scan_of(np.eye(4))
    matrix = motion(6, (5, 3, -4))
    moved, _ = scan_of(matrix, seed=1)
    # another contrast, as of another sequence
    contrast = (500 - moved.magnitude) * (moved.magnitude > 0)
    found = on_anatomy(
        scan, Anatomy(contrast, moved.geometry, OTHER_FRAME), frame_of_reference=FRAME
    )
    assert found.rigid.angle_deg == pytest.approx(6, abs=0.5)
    assert "of different frames of reference: the head was registered" in found.told
    nuclei = np.array([[*at, 1] for at in NUCLEI.values()]).T
    off = np.linalg.norm((found.rigid.matrix @ nuclei - matrix @ nuclei)[:3], axis=0)
    assert off.max() < 0.25 * GRID.voxel_size[0]
    both = found.mask & moved.mask
    apart = [np.std((chi - moved.chi)[both]) for chi in (found.chi, scan.chi)]
    assert apart[0] < 0.6 * apart[1]  # it was laid there, not the other way round


def test_what_was_done_is_told():
    same = on_anatomy(ramp(PLAIN), anatomy(PLAIN), frame_of_reference=FRAME)
    assert "share one frame of reference" in same.told
    said = on_anatomy(ramp(PLAIN), anatomy(PLAIN, None), register=False)
    assert "said to be" in said.told
    np.testing.assert_array_equal(said.chi, ramp(PLAIN).chi)


def test_other_heads_are_refused():
    scan, _ = scan_of(np.eye(4))
    noise = np.random.default_rng(0).random(GRID.matrix).astype(np.float32)
    with pytest.raises(QsmError, match="does not lie on the anatomical series"):
        on_anatomy(scan, Anatomy(noise, GRID, OTHER_FRAME), frame_of_reference=FRAME)
    far = replace(PLAIN, position=(900, 0, 0))
    with pytest.raises(QsmError, match="shows nothing of the map"):
        on_anatomy(ramp(PLAIN), anatomy(far), frame_of_reference=FRAME)


def test_a_nifti_file_tells_no_frame_of_reference(tmp_path):
    write_volume(tmp_path / "t1.nii.gz", ramp(GRIDS["oblique"]).chi, GRIDS["oblique"])
    found = read_anatomy(tmp_path / "t1.nii.gz")
    assert found.frame_of_reference is None
    np.testing.assert_allclose(found.geometry.affine, GRIDS["oblique"].affine, atol=1e-4)
