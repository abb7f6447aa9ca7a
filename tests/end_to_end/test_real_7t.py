"""A real brain at 7 T, magnitude and phase images of three echoes, through `serve`.

The crop holds the midline of the brain above the ventricles: cortex, white matter, veins, falx.
Which sign its phase has, the veins say: they are tubes, in which a paramagnetic content makes the
field chi / 2 (cos^2 - 1/3), where cos is that of the angle between the vein and B0. So whatever
phase convention the data has, the field in veins must rise with cos^2; had the phase fallen in a
positive field, it would fall. In this data it rises, by 0.03 ppm, hence `coils.phase_sign` = 1.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from gadgetron_qsm.mrd.client import stream_messages
from gadgetron_qsm.mrd.images import MAGNITUDE, PHASE, image_to_map
from gadgetron_qsm.mrd.messages import IMAGE_HEADER, ConfigText, Image

TE_MS = (4, 8, 12)
HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>298042350</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace>{space}</encodedSpace><reconSpace>{space}
</reconSpace><encodingLimits/><trajectory>cartesian</trajectory></encoding>
<sequenceParameters>{te}</sequenceParameters></ismrmrdHeader>"""
CONFIG = """<configuration>
<property name="deliver.maps" value="chi,local_field,mask,magnitude"/>
<property name="coils.phase_sign" value="1"/></configuration>"""
DARK = 0.7  # of the surroundings: veins in the last echo
SURROUNDINGS_MM, TUBE_MM, RIM_MM = 2.0, 0.8, 3.0


def in_array_order(volume):
    """A NIfTI volume (x, y, z, echo), RAS, as (echo, z, y, x)."""
    return np.ascontiguousarray(volume.get_fdata(dtype=np.float32).T)


def header_of(shape, voxel_size):
    sizes = zip("xyz", shape[::-1], voxel_size[::-1], strict=True)
    matrix, fov = zip(
        *((f"<{a}>{n}</{a}>", f"<{a}>{n * s}</{a}>") for a, n, s in sizes), strict=True
    )
    space = (
        f"<matrixSize>{''.join(matrix)}</matrixSize><fieldOfView_mm>{''.join(fov)}</fieldOfView_mm>"
    )
    return HEADER.format(space=space, te="".join(f"<TE>{te}</TE>" for te in TE_MS))


def image(data, image_type, contrast, affine):
    """An MRD image of a volume whose affine (x, y, z to RAS, mm) has no rotation."""
    to_lps = np.diag([-1, -1, 1, 1]) @ affine
    size = np.diag(affine)[:3]
    head = np.zeros((), IMAGE_HEADER)
    head["version"], head["image_type"], head["contrast"] = 1, image_type, contrast
    head["field_of_view"] = size * data.shape[::-1]
    head["position"] = (to_lps @ [*(n // 2 for n in data.shape[::-1]), 1])[:3]
    for axis, name in enumerate(("read_dir", "phase_dir", "slice_dir")):
        head[name] = to_lps[:3, axis] / size[axis]
    return Image(head[()], data[np.newaxis])


@pytest.fixture(scope="module")
def crop(shared_data):
    return {n: nib.load(shared_data / "real-7t-crop" / f"{n}.nii.gz") for n in ("Mag", "Phase")}


@pytest.fixture(scope="module")
def voxel_size(crop):
    return np.array(crop["Mag"].header.get_zooms()[2::-1], dtype=float)


@pytest.fixture(scope="module")
def maps(crop, voxel_size, server):
    """What comes back, by name; the magnitude is that of the last echo."""
    magnitude, phase = in_array_order(crop["Mag"]), in_array_order(crop["Phase"])
    phase *= np.float32(np.pi / phase.max())
    images = [
        image(volume, image_type, echo, crop["Mag"].affine)
        for echo in range(len(TE_MS))
        for volume, image_type in ((magnitude[echo], MAGNITUDE), (phase[echo], PHASE))
    ]
    header_text = header_of(magnitude.shape[1:], voxel_size)
    answer = stream_messages(images, header_text, "127.0.0.1", server.port, ConfigText(CONFIG))
    return {volume.name: volume for volume in map(image_to_map, answer)}


@pytest.fixture(scope="module")
def inside(maps, voxel_size):
    """The mask without its rim, where neither field nor map is reliable."""
    padded = np.pad(maps["mask"].data > 0, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=voxel_size)[1:-1, 1:-1, 1:-1]
    return depth > RIM_MM


@pytest.fixture(scope="module")
def veins(maps, voxel_size, inside):
    """Dark in the last echo against what is around them, and no part of the falx.

    The falx is as dark, but a plate: rows along y are dark from end to end, with its neighbours.
    """
    late = maps["magnitude"].data
    against = late / ndimage.gaussian_filter(late, SURROUNDINGS_MM / voxel_size)
    falx = np.median(against, axis=1, keepdims=True) < 0.92
    falx = ndimage.binary_dilation(falx, np.ones((1, 1, 3)), iterations=2)
    return inside & (against < DARK) & ~falx


def squared_cosine(late, voxel_size):
    """Of the angle between B0, the z axis here, and a dark tube: its axis has no curvature."""
    curvature = np.empty((*late.shape, 3, 3))
    for i, j in np.ndindex(3, 3):
        order = np.eye(3, dtype=int)[i] + np.eye(3, dtype=int)[j]
        smooth = ndimage.gaussian_filter(late / late.mean(), TUBE_MM / voxel_size, order=order)
        curvature[..., i, j] = smooth / (voxel_size[i] * voxel_size[j])
    values, vectors = np.linalg.eigh(curvature)
    along = np.abs(values).argmin(axis=-1)[..., None, None]
    return np.take_along_axis(vectors, along, axis=-1)[..., 0, 0] ** 2


def test_the_mask_covers_most_of_a_crop_that_is_all_brain(maps):
    assert np.mean(maps["mask"].data > 0) > 0.7


def test_the_map_lies_where_the_images_lay(maps, crop):
    to_lps = np.diag([-1, -1, 1, 1]) @ crop["Mag"].affine
    np.testing.assert_allclose(maps["chi"].geometry.affine, to_lps, atol=1e-4)
    assert maps["chi"].geometry.b0_direction == (1, 0, 0)


def test_the_field_in_veins_rises_the_more_they_run_along_b0(maps, veins, voxel_size):
    squared = squared_cosine(maps["magnitude"].data, voxel_size)[veins]
    rise_ppb, _ = np.polyfit(squared, maps["local_field"].data[veins], 1)
    assert rise_ppb > 15


def test_veins_are_paramagnetic(maps, inside, veins):
    chi = maps["chi"].data
    in_veins, beside = chi[veins], chi[inside & ~veins]
    assert veins.sum() > 100
    assert in_veins.mean() - beside.mean() > 40
    assert in_veins.mean() - beside.mean() > 2 * beside.std()
    assert np.mean(in_veins > beside.mean()) > 0.75
