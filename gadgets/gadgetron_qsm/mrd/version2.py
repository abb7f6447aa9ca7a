"""MRD version 2 (yardl's binary protocol, by the package mrd-python) as messages of version 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import ismrmrd
import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Acquisition,
    Image,
    Message,
    Waveform,
)
from gadgetron_qsm.mrd.version2_header import header_text
from gadgetron_qsm.mrd.wire import image_head

if TYPE_CHECKING:
    import mrd

MAGIC = b"yardl"
BLOCK = 128  # readouts
# what is called otherwise in an image's head, and means the same
DIRECTIONS = {"read_dir": "col_dir", "phase_dir": "line_dir"}
PIXELS = {
    "uint16": "ImageUint16",
    "int16": "ImageInt16",
    "uint32": "ImageUint32",
    "int32": "ImageInt32",
    "float32": "ImageFloat",
    "float64": "ImageDouble",
    "complex64": "ImageComplexFloat",
    "complex128": "ImageComplexDouble",
}


class Reader:
    """A stream of version 2 under way: its `header`, and as XML of version 1 `header_text`."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Read the header of a stream of that name; raise QsmError when it cannot be read."""
        package = _package(name)
        self._name = name
        with self._told():
            self._reader = package.BinaryMrdReader(stream)
            self.header = self._reader.read_header()
        if self.header is None:
            raise QsmError(f"{name} has no MRD header")
        self.header_text = header_text(self.header, name)

    def messages(self) -> Iterator[Message]:
        """Read what follows the header, to the end; raise QsmError where it cannot be read."""
        with self._told():
            for item in self._reader.read_data():
                yield self._message(item.tag, item.value)

    def _message(self, kind: str, item: Any) -> Message:
        if kind == "Acquisition":
            return _acquisition(item)
        if kind == "WaveformUint32":
            return _waveform(item)
        if kind in PIXELS.values():
            return _image(item)
        raise QsmError(f"{self._name} has a {kind}; send readouts or images")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say of what the package raises which stream it is about."""
        try:
            yield
        except (EOFError, BufferError) as error:  # the latter too is what it raises at an end
            raise QsmError(f"{self._name} is cut off; copy or send it again") from error
        except RuntimeError as error:
            if "schema" in str(error) or "version" in str(error):
                what = "is MRD of another version 2 than the installed package mrd-python reads"
                raise QsmError(f"{self._name} {what}") from error
            raise QsmError(f"{self._name} makes no sense: {error}") from error
        except (ArithmeticError, ValueError, LookupError, TypeError, MemoryError) as error:
            raise QsmError(f"{self._name} makes no sense: {error}") from error


class RawVersion2:
    """A file of MRD version 2, as files.RawFile is one of HDF5; a context manager.

    Each pass over the data opens the file anew.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.name, path
        with path.open("rb") as file:
            self.header_text = Reader(file, self.name).header_text

    def __enter__(self) -> RawVersion2:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def __len__(self) -> int:
        """Number of readouts; the first time, all of the file is read."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self._all(Acquisition))

    def blocks(self, size: int = BLOCK) -> Iterator[list[Acquisition]]:
        """Read the readouts in order, `size` at a time."""
        readouts = self._all(Acquisition)
        while block := list(islice(readouts, size)):
            yield block

    def waveforms(self) -> Iterator[Waveform]:
        """Read the waveforms in order."""
        return self._all(Waveform)

    def images(self) -> Iterator[Image]:
        """Read the images in order."""
        return self._all(Image)

    def _all(self, kind: type) -> Iterator[Any]:
        with self._path.open("rb") as file:
            for message in Reader(file, self.name).messages():
                if isinstance(message, kind):
                    yield message


class Writer:
    """Writes images as MRD of version 2, behind a header of it."""

    def __init__(self, stream: BinaryIO, header: mrd.Header) -> None:
        self._package = _package("the output")
        self._writer = self._package.BinaryMrdWriter(stream)
        self._writer.write_header(header)

    def write(self, image: Image) -> None:
        """Write an image."""
        kind = PIXELS[image.data.dtype.name]
        item = getattr(self._package.StreamItem, kind)(_of_version_2(image, self._package))
        self._writer.write_data([item])

    def close(self) -> None:
        """Write the end; without it the stream is taken as cut off."""
        self._writer.close()


def _package(name: str) -> Any:
    try:
        import mrd
    except ImportError as error:
        what = "is MRD version 2, which needs a package more: pip install 'gadgetron-qsm[mrd2]'"
        raise QsmError(f"{name} {what}") from error
    return mrd


def _acquisition(item: mrd.Acquisition) -> Acquisition:
    head = _head(ACQUISITION_HEADER, item.head)
    head["active_channels"], head["number_of_samples"] = item.data.shape
    head["available_channels"] = head["active_channels"]
    for channel in item.head.channel_order:
        if channel < 64 * head["channel_mask"].size:
            head["channel_mask"][channel // 64] |= np.uint64(1 << channel % 64)
    if not item.trajectory.size:
        return Acquisition(head[()], item.data)
    head["trajectory_dimensions"] = len(item.trajectory)
    return Acquisition(head[()], item.data, np.ascontiguousarray(item.trajectory.T))


def _waveform(item: mrd.WaveformUint32) -> Waveform:
    head = _head(WAVEFORM_HEADER, item)
    head["channels"], head["number_of_samples"] = item.data.shape
    return Waveform(head[()], item.data)


def _image(item: mrd.Image[Any]) -> Image:
    head = _head(IMAGE_HEADER, item.head, DIRECTIONS)
    values = {name: [str(value.value) for value in given] for name, given in item.meta.items()}
    meta = ismrmrd.Meta(values).serialize() if values else ""
    image = Image(head[()], item.data, meta)
    return Image(image_head(image), image.data, meta)


def _head(dtype: np.dtype[Any], source: Any, others: dict[str, str] | None = None) -> Any:
    """Return a header of version 1 with what `source` has, which has the same names."""
    head = np.zeros((), dtype)
    _fill(head, source, others or {})
    head["version"] = 1
    return head


def _fill(record: Any, source: Any, others: dict[str, str]) -> None:
    for name in record.dtype.names:
        value = getattr(source, others.get(name, name), None)
        if name == "idx":
            _fill(record[name], value, others)
        elif value is not None and not callable(value):  # sizes, which are told by the data
            _set(record, name, getattr(value, "value", value))  # of flags and types of image


def _set(record: Any, name: str, value: Any) -> None:
    """Set a number, or the first of several, to what version 2 has; raise ValueError for more."""
    field = record[name]
    if isinstance(value, list):
        if len(value) > field.size:
            raise ValueError(f"{name} has {len(value)} values, more than version 1 has")
        field[: len(value)] = value
        field = field[: len(value)]
    else:
        record[name] = value
        field = record[name]
    if field.dtype.kind in "iu" and not np.array_equal(field, value):  # numpy 1 wraps around
        raise ValueError(f"{name} is {value}, more than version 1 has")


def _of_version_2(image: Image, package: Any) -> Any:
    head = package.ImageHeader(image_type=package.ImageType(int(image.head["image_type"]) or 1))
    for name in image.head.dtype.names:
        theirs = DIRECTIONS.get(name, name)
        if hasattr(head, theirs) and name != "image_type":
            value = image.head[name]
            many = isinstance(getattr(head, theirs), list)
            setattr(head, theirs, value.tolist() if many or not value.ndim else value.copy())
    head.flags = package.ImageFlags(int(image.head["flags"]))
    given = ismrmrd.Meta.deserialize(image.meta) if image.meta else {}
    text = package.ImageMetaValue.String
    meta = {
        name: [text(value) for value in ([values] if isinstance(values, str) else values)]
        for name, values in given.items()
    }
    return package.Image(head=head, data=image.data, meta=meta)
