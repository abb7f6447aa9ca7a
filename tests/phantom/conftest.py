"""Plain numpy and h5py readings of what the phantom writes, apart from the package's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest

from gadgetron_qsm.phantom import Scan, simulate

NOISE_FLAG = 1 << 18
TABLE = "label,name,chi_ppm,proton_density,r2star_hz\n"


@dataclass(frozen=True)
class Recorded:
    heads: np.ndarray  # of the lines
    kspace: np.ndarray  # (echo, coil, z, y, sample)
    noise: np.ndarray  # (coil, readout, sample)
    truth: dict[str, np.ndarray]

    def images(self) -> np.ndarray:
        """(echo, coil, z, y, x) by a centred inverse FFT, readout oversampling cut off."""
        axes = (2, 3, 4)
        images = np.fft.ifftshift(self.kspace, axes=axes)
        images = np.fft.fftshift(np.fft.ifftn(images, axes=axes), axes=axes)
        n = self.truth["chi_ppm"].shape[-1]
        return images[..., n - n // 2 : n - n // 2 + n]


def read_back(path: Path) -> Recorded:
    with h5py.File(path) as file:
        rows = file["dataset/data"][:]
    with np.load(path.with_name(f"{path.stem}_truth.npz")) as archive:
        truth = dict(archive)
    heads = rows["head"]
    is_noise = heads["flags"] & np.uint64(NOISE_FLAG) != 0
    coils = int(heads["active_channels"][0])
    lines = np.array(
        [line.view(np.complex64).reshape(coils, -1) for line in rows["data"]]
    )  # (line, coil, sample)
    idx = heads["idx"][~is_noise]
    shape = (len(truth["echo_times_s"]), *truth["chi_ppm"].shape[:2], coils, lines.shape[-1])
    kspace = np.full(shape, np.nan, np.complex64)
    kspace[idx["contrast"], idx["kspace_encode_step_2"], idx["kspace_encode_step_1"]] = lines[
        ~is_noise
    ]
    noise = lines[is_noise].swapaxes(0, 1)
    return Recorded(heads[~is_noise], np.moveaxis(kspace, 3, 1), noise, truth)


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recorded]:
    """Simulate into a folder of its own and read back."""

    def scan(
        labels_path: Path | None = None, values_path: Path | None = None, **protocol: Any
    ) -> Recorded:
        path = tmp_path_factory.mktemp("scan") / "raw.h5"
        simulate(path, Scan(**protocol), labels_path, values_path)
        return read_back(path)

    return scan


@pytest.fixture
def label_file(tmp_path: Path) -> Callable[..., Path]:
    """Write labels indexed (right, anterior, superior) as NIfTI."""

    def write(labels: np.ndarray, voxel_mm: tuple[float, ...] = (1, 1, 1)) -> Path:
        path = tmp_path / "labels.nii.gz"
        nibabel.save(nibabel.Nifti1Image(labels, np.diag([*voxel_mm, 1.0])), path)
        return path

    return write


@pytest.fixture
def value_table(tmp_path: Path) -> Callable[[str], Path]:
    """Write a value table from its rows."""

    def write(rows: str) -> Path:
        path = tmp_path / "values.csv"
        path.write_text(TABLE + rows)
        return path

    return write
