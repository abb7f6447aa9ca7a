"""What programs and libraries that read DICOM show of a series: each reader as a function.

A reader takes the files of a series in order, and `places` (z, y, x, 3), where the voxels lie in
LPS; it returns the values (z, y, x) that it shows. It raises AbsentError when it is not installed.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut

Reader = Callable[[list[Path], np.ndarray], np.ndarray]

GREY_RANGE = 65536.0  # window that has dcmtk show every signed count


class AbsentError(Exception):
    """A reader that is not installed here."""


def places_of(geometry: Any) -> np.ndarray:
    """Where the voxels of a map lie, (z, y, x, 3) in LPS, slices along row x column."""
    z, y, x = geometry.matrix
    order = range(z)
    if np.dot(np.cross(geometry.read_dir, geometry.phase_dir), geometry.slice_dir) < 0:
        order = reversed(order)
    indices = np.stack(np.meshgrid(list(order), range(y), range(x), indexing="ij"), axis=-1)
    return indices[..., ::-1] @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]


def installed(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise AbsentError(name)
    return path


def at_places(values: np.ndarray, affine: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values at places; `affine`: indices of the array to the coordinates of the places."""
    indices = np.rint((places - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
    return values[tuple(np.moveaxis(indices, -1, 0))]


def frames(dataset: pydicom.Dataset, values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, dataset.Rows, dataset.Columns)


def stored(files: list[Path], _: np.ndarray) -> np.ndarray:
    slices = [pydicom.dcmread(file) for file in files]
    return np.concatenate([frames(s, s.pixel_array) for s in slices])


def modality_lut(files: list[Path], _: np.ndarray) -> np.ndarray:
    slices = [pydicom.dcmread(file) for file in files]
    shown = [frames(s, apply_modality_lut(s.pixel_array, s)) for s in slices]
    return np.concatenate(shown)


def real_world(files: list[Path], _: np.ndarray) -> np.ndarray:
    """The mapping as PS3.3 C.7.6.16.2.11 has it, for which pydicom has no function."""
    shown = []
    for dataset in map(pydicom.dcmread, files):
        groups = dataset.get("SharedFunctionalGroupsSequence", [dataset])[0]
        (mapping,) = groups.RealWorldValueMappingSequence
        values = dataset.pixel_array * mapping.RealWorldValueSlope
        shown.append(frames(dataset, values + mapping.RealWorldValueIntercept))
    return np.concatenate(shown)


def of_highdicom(files: list[Path], places: np.ndarray, **transforms: bool | None) -> np.ndarray:
    slices = [pydicom.dcmread(file) for file in files]
    if "NumberOfFrames" in slices[0]:
        volume = highdicom.imread(files[0]).get_volume(**transforms)
    else:
        volume = highdicom.get_volume_from_series(slices, **transforms)
    return at_places(volume.array, volume.affine, places)


def of_nibabel(files: list[Path], places: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        wrap = importlib.import_module("nibabel.nicom.dicomwrappers").wrapper_from_file
    wrapped = [wrap(str(file)) for file in files]
    if wrapped[0].is_multiframe:  # it puts frames into an order of its own
        return at_places(wrapped[0].get_data(), wrapped[0].affine, places)
    slices = [wrapper.get_data() for wrapper in wrapped]
    return np.concatenate([np.reshape(s, (-1, *s.shape[-2:])) for s in slices])


def of_dcm2niix(files: list[Path], places: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        command = [installed("dcm2niix"), "-f", "out", "-b", "n", "-z", "n", "-o", folder]
        subprocess.run([*command, str(files[0].parent)], check=True, capture_output=True)
        (file,) = Path(folder).glob("*.nii")
        image = nibabel.load(file)
        values = image.get_fdata().reshape(image.shape[:3])
    return at_places(values, image.affine, places * [-1, -1, 1])


def of_dcmdump(files: list[Path], _: np.ndarray) -> np.ndarray:
    """The pixels that dcmdump prints, with the sign that the object says they have."""
    shown = []
    for file in files:
        command = [installed("dcmdump"), "+L", str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        shown.append(_dumped(done.stdout))
    return np.concatenate(shown)


def _dumped(text: str) -> np.ndarray:
    """Pixels (frame, row, column) of a dump: words in hexadecimal, or floats."""
    told = {line[:11]: line.split() for line in text.splitlines() if line.startswith("(")}
    rows, columns = (int(told[tag][2]) for tag in ("(0028,0010)", "(0028,0011)"))
    if "(7fe0,0008)" in told:
        values = np.array(told["(7fe0,0008)"][2].split("\\"), np.float32)
    else:
        words = [int(word, 16) for word in told["(7fe0,0010)"][2].split("\\")]
        signed = int(told["(0028,0103)"][2])
        values = np.array(words, np.uint16).view(np.int16 if signed else np.uint16)
    return values.reshape(-1, rows, columns)


def of_dcmj2pnm(files: list[Path], _: np.ndarray) -> np.ndarray:
    """The grey that dcmtk draws in a wide window, turned back into a value."""
    command = [installed("dcmj2pnm"), "+opw", "+Fa", "+Ww", "0", str(GREY_RANGE)]
    shown = []
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            done = [*command, str(file), f"{folder}/frame"]
            subprocess.run(done, check=True, capture_output=True)
            drawn = sorted(Path(folder).iterdir(), key=lambda f: int(f.name.split(".")[1]))
            shown += [_grey(picture) for picture in drawn]
    return np.stack(shown)


def _grey(picture: Path) -> np.ndarray:
    """Values of a PGM; the window is linear as PS3.3 C.11.2.1.2.1 has it."""
    words = [line for line in picture.read_text().splitlines() if not line.startswith("#")]
    _, columns, rows, most, *grey = " ".join(words).split()
    share = np.reshape(np.array(grey, float), (int(rows), int(columns))) / float(most)
    return (share - 0.5) * (GREY_RANGE - 1) - 0.5


def of_simpleitk(files: list[Path], _: np.ndarray) -> np.ndarray:
    try:
        itk = importlib.import_module("SimpleITK")
    except ImportError as error:
        raise AbsentError("SimpleITK") from error
    image = itk.ReadImage([str(file) for file in files] if len(files) > 1 else str(files[0]))
    return itk.GetArrayFromImage(image)


LIBRARIES: Mapping[str, Reader] = {
    "pydicom: stored value": stored,
    "pydicom: apply_modality_lut": modality_lut,
    "pydicom: real world value": real_world,
    "highdicom: get_volume": of_highdicom,
    "highdicom: real world off": partial(of_highdicom, apply_real_world_transform=False),
    "highdicom: real world on": partial(of_highdicom, apply_real_world_transform=True),
    "nibabel: nicom": of_nibabel,
    "SimpleITK (GDCM)": of_simpleitk,
}
PROGRAMS: Mapping[str, Reader] = {
    "dcm2niix: NIfTI": of_dcm2niix,
    "dcmtk: dcmdump": of_dcmdump,
    "dcmtk: dcmj2pnm": of_dcmj2pnm,
}
READERS = LIBRARIES | PROGRAMS
