"""Arrays and SimpleITK's images: the same voxels at the same places, LPS on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry


def image_of(data: NDArray[Any], geometry: Geometry) -> sitk.Image:
    """Return an array (z, y, x) as an image; bool becomes uint8.

    Raises ValueError when the array has another shape than the grid.
    """
    if data.shape != geometry.matrix:
        raise ValueError(f"the data are {data.shape}, the grid {geometry.matrix}")
    values = data.astype(np.uint8) if data.dtype == bool else data
    # SimpleITK takes the bytes as they are, in whichever order
    image = sitk.GetImageFromArray(values.astype(values.dtype.newbyteorder("="), copy=False))
    image.SetSpacing(geometry.voxel_size[::-1])
    image.SetOrigin(geometry.affine[:3, 3].tolist())
    columns = np.array([geometry.read_dir, geometry.phase_dir, geometry.slice_dir]).T
    image.SetDirection(columns.ravel().tolist())
    return image


def geometry_of(image: sitk.Image) -> Geometry:
    """Return where the voxels of an image lie."""
    read, phase, through = np.reshape(image.GetDirection(), (3, 3)).T.tolist()
    x, y, z = image.GetSize()
    dx, dy, dz = image.GetSpacing()
    centre = image.TransformIndexToPhysicalPoint((x // 2, y // 2, z // 2))
    return Geometry(
        matrix=(z, y, x),
        voxel_size=(dz, dy, dx),
        position=centre,
        read_dir=tuple(read),
        phase_dir=tuple(phase),
        slice_dir=tuple(through),
    )


def array_of(image: sitk.Image) -> NDArray[Any]:
    """Return the voxels of an image (z, y, x)."""
    values: NDArray[Any] = sitk.GetArrayFromImage(image)
    return values


def coarser(image: sitk.Image, voxel_mm: float) -> sitk.Image:
    """Return an image as float32 with voxels of at least `voxel_mm` along each axis.

    Axes that are coarser already stay. What the new voxels cannot hold is smoothed away before.
    """
    real = sitk.Cast(image, sitk.sitkFloat32)
    sizes = np.array(image.GetSpacing())
    wanted = np.maximum(sizes, voxel_mm)
    if np.allclose(wanted, sizes):
        return real
    # A Gaussian as wide as the new voxel, less what the old one has smoothed (FWHM in quadrature).
    width = np.sqrt(wanted**2 - sizes**2) / np.sqrt(8 * np.log(2))
    smooth = sitk.DiscreteGaussian(real, (width**2).tolist())
    count = np.maximum(np.ceil(np.array(image.GetSize()) * sizes / wanted - 1e-6), 1).astype(int)
    # the middle of the volume stays where it is
    first = (np.array(image.GetSize()) - 1) / 2 - (count - 1) / 2 * wanted / sizes
    return sitk.Resample(
        smooth,
        count.tolist(),
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        image.TransformContinuousIndexToPhysicalPoint(first.tolist()),
        wanted.tolist(),
        image.GetDirection(),
    )
