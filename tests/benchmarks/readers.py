"""Which value each reader shows for one voxel, in every form of image.

Usage: python -m tests.benchmarks.readers

Stored is what a reader of plain pixels shows, rescaled what one shows that knows the modality
LUT, mapped what one shows that knows the Real World Value Mapping (both by pydicom).
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
from pydicom.pixels import apply_rescale

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.forms import FORMS
from gadgetron_qsm.dicom.series import write_series
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header

VOXEL = (2, 3, 4)  # z, y, x
SHOWN = (("chi", "ppb", -137.43), ("local_field", "Hz", -12.34))
GEOMETRY = Geometry((5, 7, 6), (2.5, 1.25, 1.5), (3, -12, 20), (1, 0, 0), (0, 1, 0), (0, 0, 1))
HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>123247935</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace><matrixSize><x>6</x><y>7</y><z>5</z></matrixSize>
<fieldOfView_mm><x>9</x><y>8.75</y><z>12.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>6</x><y>7</y><z>5</z></matrixSize>
<fieldOfView_mm><x>9</x><y>8.75</y><z>12.5</z></fieldOfView_mm></reconSpace>
<encodingLimits/><trajectory>cartesian</trajectory></encoding>
<sequenceParameters><TE>4.5</TE><TE>9.8</TE></sequenceParameters></ismrmrdHeader>"""

Reader = Callable[[Sequence[Path]], float]


def stored(files: Sequence[Path]) -> float:
    """Count of the voxel."""
    z, y, x = VOXEL
    volume = np.concatenate([_frames(pydicom.dcmread(file)) for file in files])
    return float(volume[z, y, x])


def rescaled(files: Sequence[Path]) -> float:
    """Count under the modality LUT, or the pixel value transformation of frames."""
    dataset = pydicom.dcmread(files[0])
    groups = dataset.get("SharedFunctionalGroupsSequence")
    scale = groups[0].PixelValueTransformationSequence[0] if groups else dataset
    return float(apply_rescale(np.array([stored(files)]), scale)[0])


def mapped(files: Sequence[Path]) -> float:
    """Count under the Real World Value Mapping."""
    dataset = pydicom.dcmread(files[0])
    groups = dataset.get("SharedFunctionalGroupsSequence")
    (mapping,) = (groups[0] if groups else dataset).RealWorldValueMappingSequence
    return stored(files) * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept


def by_highdicom(files: Sequence[Path]) -> float:
    """Value in highdicom's volume."""
    if len(files) == 1:
        volume = highdicom.imread(files[0]).get_volume(apply_real_world_transform=True)
    else:
        slices = [pydicom.dcmread(file) for file in files]
        volume = highdicom.get_volume_from_series(slices, apply_real_world_transform=True)
    return _at(volume.array, volume.affine @ np.eye(4)[[2, 1, 0, 3]])


def by_dcm2niix(files: Sequence[Path]) -> float:
    """Value in the NIfTI file that dcm2niix makes, as nibabel reads it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["dcm2niix", "-b", "n", "-z", "n", "-o", folder, str(files[0].parent)]
        subprocess.run(command, check=True, capture_output=True)
        (file,) = Path(folder).glob("*.nii")
        image = nibabel.load(file)
        values = image.get_fdata().transpose(2, 1, 0)
        return _at(values, np.diag([-1, -1, 1, 1]) @ image.affine)


READERS: Mapping[str, Reader] = {
    "stored": stored,
    "rescaled": rescaled,
    "mapped": mapped,
    "highdicom": by_highdicom,
    "dcm2niix": by_dcm2niix,
}


def shown(name: str, unit: str, value: float, form: str) -> dict[str, float]:
    """Return what each reader shows for a voxel of that value among others of both signs."""
    data = np.random.default_rng(1).uniform(-99, 99, GEOMETRY.matrix).astype(np.float32)
    data[VOXEL] = value
    with tempfile.TemporaryDirectory() as folder:
        volume = Map(name, data, unit, GEOMETRY)
        files = write_series(volume, Header.parse(HEADER), Path(folder), form=form)
        return {reader: read(files) for reader, read in READERS.items()}


def main(arguments: list[str] | None = None) -> None:
    """Print a table in Markdown."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(arguments)
    print(f"| map | form | {' | '.join(READERS)} |\n|{'---|' * (2 + len(READERS))}")
    for name, unit, value in SHOWN:
        for form in FORMS:
            values = " | ".join(f"{v:.2f}" for v in shown(name, unit, value, form).values())
            print(f"| {name}, {value} {unit} | {form} | {values} |")


def _frames(dataset: pydicom.Dataset) -> np.ndarray:
    return dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)


def _at(values: np.ndarray, affine: np.ndarray) -> float:
    """Value (of z, y, x) where the voxel lies in the patient."""
    where = np.linalg.inv(affine) @ GEOMETRY.affine @ [*VOXEL[::-1], 1]
    x, y, z = np.rint(where[:3]).astype(int)
    return float(values[z, y, x])


if __name__ == "__main__":
    main()
