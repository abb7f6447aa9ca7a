"""A stage's folders, by the QSM-CI contract: NIfTI (x, y, z) outside, arrays (z, y, x) inside.

https://github.com/QSMxT/QSM-CI, CONTRACT.md: phase in rad and magnitude (x, y, z, echo), fields and
susceptibility in ppm, a mask; params.json {TE in s, B0 in T, B0_dir, voxel_size in mm}, the last
two in the order x, y, z; and config.json, optional, with parameters of the method.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import LARMOR_HZ_PER_T
from gadgetron_qsm.nifti import UNREADABLE
from gadgetron_qsm.stage.checks import ECHOES, checked

SAME_PLACE_MM = 0.1  # converters round affines
SAME_SIZE = 0.01  # relative
LONGEST_TE_S = 1.0
STRONGEST_B0_T = 30.0
LEAST_MM, MOST_MM = 0.01, 50.0  # of voxels

log = logging.getLogger(__name__)

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Params:
    """What params.json says; `b0_direction` (unit vector) and `voxel_size` (mm) are (z, y, x)."""

    echo_times_s: tuple[float, ...]
    larmor_hz: float
    b0_direction: Triple
    voxel_size: Triple


@dataclass(frozen=True)
class Inputs:
    """What a stage reads: float32 by name, (z, y, x) or (echo, z, y, x); the mask is bool."""

    arrays: Mapping[str, NDArray[Any]]
    params: Params
    header: nibabel.Nifti1Header
    affine: NDArray[np.float64]


def read_inputs(folder: Path, needed: Sequence[str], welcome: Sequence[str] = ()) -> Inputs:
    """Read the needed files of a folder, and those that are welcome where they are there.

    Their numbers are checked, see checks.py. Raises QsmError that names the file which is missing
    or cannot be used, and why.
    """
    params = _read_params(folder / "params.json")
    there = [name for name in welcome if exists(folder, name)]
    images = {name: _load(_path(folder, name)) for name in (*needed, *there)}
    first = next(iter(images))
    for name, image in images.items():
        _check_grid(name, image, first, images[first])
    sizes = images[first].header.get_zooms()[:3]
    if not np.allclose(sizes, params.voxel_size[::-1], rtol=SAME_SIZE):
        log.warning("voxel_size of params.json is used: that of %s.nii.gz is another", first)
    arrays = {name: _array(name, image) for name, image in images.items()}
    known = checked(arrays, len(params.echo_times_s))
    return Inputs(known, params, images[first].header, images[first].affine)


def exists(folder: Path, name: str) -> bool:
    """Say whether a folder has the file of that name."""
    return _path(folder, name).exists()


def read_config(folder: Path) -> dict[str, Any]:
    """Return the parameters that config.json gives, none without one."""
    path = folder / "config.json"
    return _read_json(path) if path.exists() else {}


def write_map(folder: Path, name: str, data: NDArray[Any], inputs: Inputs) -> Path:
    """Write a map (z, y, x) as float32 NIfTI on the grid of the inputs; return its path."""
    header = inputs.header.copy()
    header.set_data_dtype(np.float32)
    for text in ("descrip", "aux_file", "db_name"):
        header[text] = b""
    values = np.ascontiguousarray(data.astype(np.float32, copy=False).T)
    path = _path(folder, name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(values, inputs.affine, header), path)
    except OSError as error:
        raise QsmError(f"cannot write {path}: {error}") from error
    return path


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.nii.gz"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise QsmError(f"there is no {path}") from error
    except (OSError, ValueError) as error:
        raise QsmError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise QsmError(f"{path} must hold one object, as in {{...}}")
    return content


def _read_params(path: Path) -> Params:
    content = _read_json(path)
    missing = [key for key in ("TE", "B0", "B0_dir", "voxel_size") if key not in content]
    if missing:
        raise QsmError(f"{path} has no {', '.join(missing)}")
    if not isinstance(content["TE"], list):
        content["TE"] = [content["TE"]]
    times, b0, direction, size = (
        _numbers(path, key, content[key], count)
        for key, count in (("TE", None), ("B0", 1), ("B0_dir", 3), ("voxel_size", 3))
    )
    length = math.hypot(*direction)
    rising = all(a < b for a, b in zip((0.0, *times), (*times, LONGEST_TE_S), strict=True))
    for key, usable, wanted in (
        ("TE", rising and times, "echo times in s, rising"),
        ("B0", 0 < b0[0] < STRONGEST_B0_T, "the field in T"),
        ("B0_dir", length > 0, "a direction (x, y, z)"),
        ("voxel_size", all(LEAST_MM < mm < MOST_MM for mm in size), "sizes in mm (x, y, z)"),
    ):
        if not usable:
            raise QsmError(f"{path}: {key} = {content[key]} is not {wanted}")
    x, y, z = (part / length for part in direction)
    return Params(times, LARMOR_HZ_PER_T * b0[0], (z, y, x), (size[2], size[1], size[0]))


def _numbers(path: Path, key: str, given: Any, count: int | None) -> tuple[float, ...]:
    values = given if isinstance(given, list) else [given]
    real = all(type(v) in (int, float) and math.isfinite(v) for v in values)
    if not real or len(values) != (count or len(values)):
        wanted = {None: "numbers", 1: "a number"}.get(count, f"{count} numbers")
        raise QsmError(f"{path}: {key} = {given} is not {wanted}")
    return tuple(float(value) for value in values)


def _load(path: Path) -> nibabel.Nifti1Image:
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        kind = image.get_data_dtype().kind
        values = np.asanyarray(image.dataobj, dtype=np.float32) if kind in "buif" else None
    except FileNotFoundError as error:
        raise QsmError(f"there is no {path}") from error
    except UNREADABLE as error:
        raise QsmError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    if values is None:
        raise QsmError(f"{path} does not hold real numbers")
    return nibabel.Nifti1Image(values, image.affine, image.header)


def _check_grid(name: str, image: Any, first: str, other: Any) -> None:
    dimensions = 4 if name in ECHOES else 3
    shape = _shape(image)
    if len(shape) not in (3, dimensions):
        raise QsmError(f"{name}.nii.gz has {len(shape)} dimensions; it must have {dimensions}")
    if shape[:3] != _shape(other)[:3]:
        raise QsmError(
            f"{name}.nii.gz has {shape[:3]} voxels, {first}.nii.gz {_shape(other)[:3]}; "
            "they must be on one grid"
        )
    corners = np.array(np.meshgrid(*([0, n] for n in shape[:3]), [1])).reshape(4, -1)
    if np.abs((image.affine - other.affine) @ corners).max() > SAME_PLACE_MM:
        raise QsmError(
            f"{name}.nii.gz and {first}.nii.gz have different affines; they must be on one grid"
        )


def _shape(image: Any) -> tuple[int, ...]:
    """Shape without axes of one at its end."""
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _array(name: str, image: Any) -> NDArray[Any]:
    values = np.asanyarray(image.dataobj).reshape(_shape(image))
    if name in ECHOES and values.ndim == 3:
        values = values[..., np.newaxis]
    return np.ascontiguousarray(values.T)
