"""Plain numpy and h5py readings of what the phantom writes, apart from the package's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import nibabel
import numpy as np
import pytest

from gadgetron_qsm.phantom import Scan, simulate, varied

NOT_IMAGE = sum(1 << flag - 1 for flag in (19, 23, 24, 26, 27, 28, 29, 30, 31))
SMALL = {
    "voxel_size_mm": (6.0, 6.0, 10.0),
    "matrix": (28, 30, 8),
    "coils": 2,
    "echo_times_s": (0.004, 0.008),
    "noise_lines": 4,
    "fine_per_voxel": 1,
}
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


@dataclass(frozen=True)
class Readouts:
    """All readouts of a file in the order they came, and its header as ismrmrd reads it."""

    heads: np.ndarray
    samples: list[np.ndarray]  # (channel, sample) each
    header: Any
    truth: dict[str, np.ndarray]
    path: Path

    def flagged(self, *flags: int) -> np.ndarray:
        """Whether each readout has one of the flags."""
        word = np.uint64(sum(1 << flag - 1 for flag in flags))
        return self.heads["flags"] & word != 0

    @property
    def image(self) -> np.ndarray:
        """Numbers of the readouts that are neither noise nor of another kind."""
        return np.flatnonzero(self.heads["flags"] & np.uint64(NOT_IMAGE) == 0)

    @property
    def places(self) -> np.ndarray:
        """Line (kz, ky) of the matrix that each readout is, k = 0 at n//2, by the header."""
        encoding = self.header.encoding[0]
        sizes, limits = encoding.encodedSpace.matrixSize, encoding.encodingLimits
        idx = self.heads["idx"]
        return np.stack(
            [
                idx["kspace_encode_step_2"].astype(int)
                + (sizes.z // 2 - limits.kspace_encoding_step_2.center),
                idx["kspace_encode_step_1"].astype(int)
                + (sizes.y // 2 - limits.kspace_encoding_step_1.center),
            ],
            axis=1,
        )


def read_rows(path: Path) -> Readouts:
    with h5py.File(path) as file:
        rows = file["dataset/data"][:]
        header = ismrmrd.xsd.CreateFromDocument(file["dataset/xml"][0])
    with np.load(path.with_name(f"{path.stem}_truth.npz")) as archive:
        truth = dict(archive)
    heads = rows["head"]
    samples = [
        line.view(np.complex64).reshape(channels, -1)
        for line, channels in zip(rows["data"], heads["active_channels"], strict=True)
    ]
    return Readouts(heads, samples, header, truth, path)


def read_back(path: Path) -> Recorded:
    rows = read_rows(path)
    is_noise = rows.flagged(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    lines = np.array(rows.samples)  # (line, coil, sample)
    heads, truth = rows.heads[~is_noise], rows.truth
    idx = heads["idx"]
    shape = (len(truth["echo_times_s"]), *truth["chi_ppm"].shape[:2], *lines.shape[1:])
    kspace = np.full(shape, np.nan, np.complex64)
    places = idx["contrast"], idx["kspace_encode_step_2"], idx["kspace_encode_step_1"]
    kspace[places] = lines[~is_noise]
    noise = lines[is_noise].swapaxes(0, 1)
    return Recorded(heads, np.moveaxis(kspace, 3, 1), noise, truth)


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


@pytest.fixture(scope="session")
def read_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Readouts]:
    """Simulate variants of a scan into a folder of its own and read all that was written."""

    def scan(*variants: str, labels: Path | None = None, **protocol: Any) -> Readouts:
        path = tmp_path_factory.mktemp("scan") / "raw.h5"
        values = protocol.pop("values", None)
        simulate(path, varied(Scan(**protocol), variants), labels, values)
        return read_rows(path)

    return scan


@pytest.fixture(scope="session")
def variant(read_out: Callable[..., Readouts]) -> Callable[[str], Readouts]:
    """A small scan of each variant, simulated once."""
    return cache(lambda name: read_out(name, **SMALL))


@pytest.fixture(scope="session")
def silent() -> dict[str, Any]:
    """The protocol of `variant`, without noise."""
    return {**SMALL, "snr": math.inf}


@pytest.fixture(scope="session")
def plain(scanned: Callable[..., Recorded], silent: dict[str, Any]) -> Recorded:
    """The plain scan of `variant`, without noise."""
    return scanned(**silent)


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
