"""ISMRMRD files (HDF5): raw data in blocks, and series of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.lib.recfunctions import require_fields
from numpy.typing import DTypeLike

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.heap import Table
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Acquisition,
    Image,
    Waveform,
)
from gadgetron_qsm.mrd.wire import image_head

DATASET = "dataset"
SIZES = "active_channels", "number_of_samples", "trajectory_dimensions"
BLOCK = 128  # readouts; reading them one by one costs fifty times as much


class RawFile:
    """An ISMRMRD raw file, open for reading; a context manager.

    `dataset` names the group; by default it is 'dataset' or the only one in the file.
    Everything that is wrong with the file is a QsmError that names the file without its folder.
    """

    def __init__(self, path: str | Path, dataset: str | None = None) -> None:
        self.name = Path(path).name
        try:
            self._file = h5py.File(path, "r")
        except FileNotFoundError as error:
            raise QsmError(f"{self.name} does not exist") from error
        except OSError as error:
            raise QsmError(f"{self.name} {_what_is_wrong(error)}") from error
        try:
            self._group = self._find(dataset)
            self.header_text = self._header_text()
        except (KeyError, RuntimeError) as error:  # of the HDF5 library, for what makes no sense
            self._file.close()
            raise QsmError(f"{self.name} is damaged; copy it again") from error
        except QsmError:
            self._file.close()
            raise

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Number of readouts."""
        return len(self._group["data"])

    def blocks(self, size: int = BLOCK) -> Iterator[list[Acquisition]]:
        """Read the readouts in order, `size` at a time."""
        for records in self._records("data", size):
            heads = _as(ACQUISITION_HEADER, records["head"])
            coils, samples, dimensions = (heads[name].tolist() for name in SIZES)
            yield [
                self._acquisition(*readout)
                for readout in zip(
                    heads, records["data"], records["traj"], coils, samples, dimensions, strict=True
                )
            ]

    def waveforms(self, size: int = BLOCK) -> Iterator[Waveform]:
        """Read the waveforms in order; none when the file has none."""
        if "waveforms" not in self._group:
            return
        for records in self._records("waveforms", size):
            heads = _as(WAVEFORM_HEADER, records["head"])
            for head, data in zip(heads, records["data"], strict=True):
                shape = head["channels"], head["number_of_samples"]
                yield Waveform(head, self._fit(data, np.uint32, shape))

    def images(self) -> Iterator[Image]:
        """Read the images, series by series; none when the file has none."""
        names = [name for name in self._group if name.startswith("image_")]
        try:
            for name in sorted(names, key=lambda name: (len(name), name)):
                yield from _images_of(self._group[name])
        except (OSError, KeyError, ValueError) as error:
            raise QsmError(f"{self.name} has images that cannot be read; copy it again") from error

    def _find(self, dataset: str | None) -> h5py.Group:
        groups = [name for name, item in self._file.items() if isinstance(item, h5py.Group)]
        name = dataset or (groups[0] if len(groups) == 1 else DATASET)
        if name not in groups:
            raise QsmError(f"{self.name} has no dataset '{name}'; it has {groups or 'none'}")
        group = self._file[name]
        readouts = group.get("data")
        fields = readouts.dtype.names if isinstance(readouts, h5py.Dataset) else None
        if "xml" not in group or not {"head", "traj", "data"} <= set(fields or ()):
            raise QsmError(f"{self.name} has no header or no readouts in its dataset '{name}'")
        return group

    def _header_text(self) -> str:
        try:
            text = self._group["xml"][0]
        except (OSError, ValueError, IndexError) as error:
            raise QsmError(f"the header in {self.name} cannot be read: {error}") from error
        return text.decode("utf-8", errors="replace") if isinstance(text, bytes) else str(text)

    def _records(self, part: str, size: int) -> Iterator[Mapping[str, Any]]:
        """Read rows, `size` at a time: what each field has of them."""
        try:
            data = self._group[part]
        except KeyError as error:
            raise QsmError(f"{self.name} is damaged; copy it again") from error
        table = Table.of(data)
        for start in range(0, len(data), size):
            stop = min(start + size, len(data))
            try:
                rows = table.read(start, stop) if table else None
                rows = data[start:stop] if rows is None else rows
            except OSError as error:
                what = f"{self.name} is damaged behind item {start}; copy it again"
                raise QsmError(what) from error
            yield rows

    def _acquisition(
        self, head: Any, data: np.ndarray, path: np.ndarray, coils: int, samples: int, axes: int
    ) -> Acquisition:
        lines = self._fit(data, np.complex64, (coils, samples))
        trajectory = self._fit(path, np.float32, (samples, axes)) if axes else None
        return Acquisition(head, lines, trajectory)

    def _fit(self, data: np.ndarray, dtype: DTypeLike, shape: tuple[int, int]) -> np.ndarray:
        try:
            return data.view(dtype).reshape(shape)
        except ValueError as error:
            raise QsmError(f"{self.name} has data that do not fit their header") from error


def write_images(path: str | Path, images: Iterable[Image], header_text: str = "") -> None:
    """Write images as ISMRMRD does: one group `image_<series>` a series, in dataset 'dataset'.

    Raises QsmError when images of one series differ in size or pixel type.
    """
    with h5py.File(path, "w") as file:
        dataset = file.create_group(DATASET)
        if header_text:
            dataset.create_dataset("xml", data=[header_text.encode()], dtype=_BYTES)
        for image in images:
            name = f"image_{image.head['image_series_index']}"
            group = dataset[name] if name in dataset else _create_series(dataset, name, image)
            dtype = pixels_in_file(image)
            if group["data"].shape[1:] != image.data.shape or group["data"].dtype != dtype:
                raise QsmError(f"{name} has images of different sizes or pixel types")
            for part, value in (
                ("header", image_head(image)),
                ("attributes", image.meta),
                ("data", image.data.view(dtype)),
            ):
                group[part].resize(len(group[part]) + 1, axis=0)
                group[part][-1] = value


_BYTES = h5py.special_dtype(vlen=bytes)
_TEXT = h5py.special_dtype(vlen=str)


def _create_series(dataset: h5py.Group, name: str, image: Image) -> h5py.Group:
    group = dataset.create_group(name)
    group.create_dataset("header", (0,), IMAGE_HEADER, maxshape=(None,))
    group.create_dataset("attributes", (0,), _TEXT, maxshape=(None,))
    shape = image.data.shape
    group.create_dataset(
        "data", (0, *shape), pixels_in_file(image), maxshape=(None, *shape), chunks=(1, *shape)
    )
    return group


def pixels_in_file(image: Image) -> np.dtype:
    """Return the type of an image's pixels in a file, where complex ones are of real and imag."""
    dtype = image.data.dtype
    if dtype.kind != "c":
        return dtype
    part = f"<f{dtype.itemsize // 2}"
    return np.dtype([("real", part), ("imag", part)])


def _images_of(series: h5py.Group) -> Iterator[Image]:
    attributes, pixels = series["attributes"].asstr(), series["data"]
    for number, head in enumerate(_as(IMAGE_HEADER, series["header"][:])):
        yield Image(head, _pixels_of_file(pixels[number]), attributes[number])


def _pixels_of_file(data: np.ndarray) -> np.ndarray:
    if data.dtype.names is None:
        return data
    return data.view(np.dtype(f"<c{data.dtype.itemsize}"))


def _as(dtype: np.dtype, heads: np.ndarray) -> np.ndarray:
    """Lay headers out as on the wire, whatever the order and padding in the file."""
    return np.ascontiguousarray(heads if heads.dtype == dtype else require_fields(heads, dtype))


def _what_is_wrong(error: OSError) -> str:
    reasons = {
        "truncated": "is truncated; copy it again",
        "signature not found": "is no HDF5 file and no MRD stream; convert it to ISMRMRD first",
    }
    known = (reason for words, reason in reasons.items() if words in str(error))
    return next(
        known, "cannot be opened; is another program writing it, or is it not yours to read?"
    )
