"""The messages of a scan in an ISMRMRD file that grows as they come.

Readouts and waveforms are in it bit for bit. Buckets, buffers and image arrays of a Gadgetron's
chain are there as the readouts and images that our chain takes out of them: a replay makes the same
maps, but what only such a message says (statistics, sampling) is not kept. Texts are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, waveform_dtype

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import DATASET, pixels_in_file
from gadgetron_qsm.mrd.gathered import readouts_of
from gadgetron_qsm.mrd.messages import (
    IMAGE_HEADER,
    Acquisition,
    Bucket,
    Image,
    ImageArray,
    Message,
    Record,
    Waveform,
)
from gadgetron_qsm.mrd.volumes import images_of_array
from gadgetron_qsm.mrd.wire import image_head
from gadgetron_qsm.spool.growing import DataSet, GrowingFile, Members
from gadgetron_qsm.spool.parts import NOTHING

HEADS = 1024  # of readouts or waveforms that lie together in the file,
IMAGE_HEADS = 16  # and of images
MOST_SERIES = 256  # of which each costs 60 kB: images that are not alike make one each
LARGEST_IMAGE = 2**32 - 1  # bytes, as HDF5 has the size of a chunk in 32 bits


class SpooledScan:
    """An ISMRMRD file of a scan, to which messages are added."""

    def __init__(self, descriptor: int, header_text: str) -> None:
        self.items = 0  # readouts and images that are written
        self._file = GrowingFile(descriptor)
        self._readouts = DataSet(self._file, acquisition_dtype, chunk_rows=HEADS)
        self._waveforms = DataSet(self._file, waveform_dtype, chunk_rows=HEADS)
        header = DataSet(self._file, h5py.special_dtype(vlen=bytes))
        header.extend(self._text(header_text))
        self._members: dict[str, Members | DataSet] = {
            "xml": header,
            "data": self._readouts,
            "waveforms": self._waveforms,
        }
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._file.publish({DATASET: self._members})

    def add(self, messages: Iterable[Message]) -> None:
        """Put messages into the file; `write` writes them.

        Raises QsmError for images that are too large, or of too many series.
        """
        readouts: list[bytes] = []
        waveforms: list[bytes] = []
        for message in messages:
            if isinstance(message, Acquisition):  # which most of them are
                readouts.append(self._readout(message))
            elif isinstance(message, Image):
                self._add_image(message)
            elif isinstance(message, ImageArray):
                for image in images_of_array(message):
                    self._add_image(image)
            else:
                readouts += map(self._readout, readouts_of(message))
                waveforms += map(self._waveform, _waveforms_of(message))
        if readouts:
            self._readouts.extend(b"".join(readouts))
        if waveforms:
            self._waveforms.extend(b"".join(waveforms))

    def end(self) -> int:
        """Return the size of the file once all that was added is written."""
        return self._file.end()

    def write(self) -> None:
        """Write what was added; the file is whole before, after and at any moment in between."""
        self._file.write()
        images = sum(series.heads.length for series in self._series.values())
        self.items = self._readouts.length + images

    def _readout(self, readout: Acquisition) -> bytes:
        head, trajectory = readout.head, NOTHING
        if readout.trajectory is not None:
            points = np.ascontiguousarray(readout.trajectory, np.float32)
            trajectory = self._file.value(points.data, points.size)
        elif head["trajectory_dimensions"]:
            head = _without_trajectory(head)
        data = np.ascontiguousarray(readout.data, np.complex64)
        samples = self._file.value(data.data, 2 * data.size)  # as pairs of real and imaginary
        return head.tobytes() + trajectory + samples

    def _waveform(self, waveform: Waveform) -> bytes:
        data = np.ascontiguousarray(waveform.data, np.uint32)
        return waveform.head.tobytes() + self._file.value(data.data, data.size)

    def _text(self, text: str) -> bytes:
        encoded = text.encode()
        return self._file.value(encoded, len(encoded))

    def _add_image(self, image: Image) -> None:
        kind = int(image.head["image_series_index"]), image.data.shape, image.data.dtype
        if not image.data.size:
            return  # there is nothing in it, and HDF5 cannot say so
        if kind not in self._series:
            _check(image, len(self._series))
            self._series[kind] = series = _Series(self._file, image)
            self._members[self._name(kind[0])] = series.members
            self._file.publish({DATASET: self._members})
        series = self._series[kind]
        series.pixels.extend(np.ascontiguousarray(image.data).reshape(-1).view(np.uint8).data)
        series.attributes.extend(self._text(image.meta))
        series.heads.extend(image_head(image).tobytes())  # of which a reader takes the number

    def _name(self, number: int) -> str:
        """A group's name; images of other sizes under the same number get another group."""
        others = sum(kind[0] == number for kind in self._series) - 1
        return f"image_{number}" + (f"_{others}" if others else "")


class _Series:
    """The data sets of images that are alike."""

    def __init__(self, file: GrowingFile, image: Image) -> None:
        self.heads = DataSet(file, IMAGE_HEADER, chunk_rows=IMAGE_HEADS)
        self.attributes = DataSet(file, h5py.special_dtype(vlen=str), chunk_rows=IMAGE_HEADS)
        self.pixels = DataSet(file, pixels_in_file(image), image.data.shape)
        self.members: Members = {
            "header": self.heads,
            "attributes": self.attributes,
            "data": self.pixels,
        }


def _check(image: Image, series: int) -> None:
    """Raise QsmError unless there is room for an image of a new series beside so many others."""
    if image.data.nbytes > LARGEST_IMAGE:
        size = image.data.nbytes / 1e9
        raise QsmError(
            f"an image has {size:.1f} GB; up to {LARGEST_IMAGE / 1e9:.1f} can be spooled"
        )
    if series >= MOST_SERIES:
        raise QsmError(f"the images are of more than {MOST_SERIES} series, sizes or pixel types")


def _waveforms_of(message: Message) -> Iterable[Waveform]:
    if isinstance(message, Bucket):
        return message.waveforms
    return [message] if isinstance(message, Waveform) else []


def _without_trajectory(head: Record) -> Record:
    """Return the head of a readout whose trajectory a Gadgetron's chain has lost."""
    head = head.copy()
    head["trajectory_dimensions"] = 0
    return head
