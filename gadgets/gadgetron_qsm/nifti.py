"""NIfTI files with the geometry of the patient: RAS outside, LPS (geometry.py) inside."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.report.files import replacing

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FAST = 1  # of gzip; more makes maps a few per cent smaller
STORED = 0  # of gzip: noise in float32 gets 7 % smaller, which takes 0.05 s a MB
SHEAR = "has a sheared grid; resample it to one of right angles"
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    nibabel.filebasedimages.ImageFileError,
    nibabel.spatialimages.HeaderDataError,
    nibabel.wrapstruct.WrapStructError,
)


def read_volume(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Return the values (z, y, x) of a three-dimensional NIfTI file, and where they lie.

    Raises QsmError when the file is absent, cannot be read, has another number of dimensions, no
    real numbers, or a grid that is no frame of right angles.
    """
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        values = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise QsmError(f"there is no {path}") from error
    except UNREADABLE as error:
        raise QsmError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise QsmError(f"{path} has {values.ndim} dimensions; it must have 3")
    if values.dtype.kind not in "buif":
        raise QsmError(f"{path} does not hold real numbers")
    try:
        geometry = of_affine(image.affine, values.shape[::-1])
    except QsmError as error:
        raise QsmError(f"{path} {SHEAR}") from error
    return np.ascontiguousarray(values.T), geometry


def write_volume(path: Path, data: NDArray[Any], geometry: Geometry, *, level: int = FAST) -> None:
    """Write values (z, y, x) to a .nii or .nii.gz; their type is kept, but bool becomes uint8.

    `level` is gzip's, 0 to 9. Raises QsmError when the file cannot be written.
    """
    values = data.astype(np.uint8) if data.dtype == bool else data
    affine = LPS_TO_RAS @ geometry.affine
    image = nibabel.Nifti1Image(np.ascontiguousarray(values.T), affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    content = image.to_bytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, level, mtime=0)  # the same map is the same bytes
    with replacing(path) as part:
        part.write_bytes(content)


def of_affine(affine: NDArray[Any], matrix: tuple[int, ...]) -> Geometry:
    """Return the geometry of a grid of NIfTI: affine 4 x 4 to RAS in mm, matrix (z, y, x).

    Raises QsmError for axes that are not at right angles.
    """
    lps = LPS_TO_RAS @ affine
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    if not (np.isfinite(lps).all() and sizes.all()):
        raise QsmError("the affine is none of a grid")
    read, phase, through = (lps[:3, :3] / sizes).T.tolist()
    centre = lps @ [*(n // 2 for n in matrix[::-1]), 1]
    z, y, x = matrix
    return Geometry(
        matrix=(z, y, x),
        voxel_size=(float(sizes[2]), float(sizes[1]), float(sizes[0])),
        position=(float(centre[0]), float(centre[1]), float(centre[2])),
        read_dir=tuple(read),
        phase_dir=tuple(phase),
        slice_dir=tuple(through),
    )
