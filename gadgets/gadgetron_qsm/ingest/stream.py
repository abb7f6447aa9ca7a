"""Whatever a peer sends, to coil images: readouts, buckets, buffers or images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gadgetron_qsm.arrays.places import Place
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory
from gadgetron_qsm.ingest.lines import Lines, missing_repetitions, refuse_or_warn
from gadgetron_qsm.ingest.volume import kspace_shape
from gadgetron_qsm.mrd.gathered import readouts_of
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Image, ImageArray, Message
from gadgetron_qsm.mrd.size import bytes_of
from gadgetron_qsm.mrd.volumes import images_of_array, repetitions_of_images
from gadgetron_qsm.settings import KSpaceSettings

FEW_BYTES = 256 << 20  # of images, for which no memory is planned


def coil_images(
    messages: Iterable[Message],
    header: Header,
    settings: KSpaceSettings,
    place: Place | None = None,
) -> Iterator[CoilImages]:
    """Consume a stream and give the coil images (echo, coil, z, y, x) of each repetition.

    Takes acquisitions, buckets, ReconData, ImageArrays and images (complex, or pairs of magnitude
    and phase), one volume of several echoes. Texts and waveforms are passed over. Readouts are
    worked on, and their coil images are, in that place if they fit: on the host by default.
    Raises QsmError when they are incomplete, mixed, or do not fit the header; of repetitions that
    are missing at the end not before those that came were given.
    """
    memory.require_possible(kspace_shape(header, 1), settings.memory_gb)
    lines, held = Lines(header, settings, place), _Held(settings)
    images: list[Image] = []
    of_arrays: list[Image] = []
    for message in messages:
        if isinstance(message, Image | ImageArray):
            held.add(message)
        if isinstance(message, Image):
            images.append(message)
        elif isinstance(message, ImageArray):
            of_arrays += images_of_array(message)
        else:
            for readout in readouts_of(message):
                yield from lines.add(readout)
    if lines.started + bool(images) + bool(of_arrays) > 1:
        raise QsmError(
            "the stream mixes readouts, images and image arrays; send the scan once, in one form"
        )
    if images := images or of_arrays:
        yield from repetitions_of_images(images, header)
        came = {int(image.head["repetition"]) for image in images}
        refuse_or_warn(missing_repetitions(len(came), header), settings)
    else:
        yield from lines.end()


class _Held:
    """Counts the images that are held until the last has come; raises QsmError for too many."""

    def __init__(self, settings: KSpaceSettings) -> None:
        self._settings, self._bytes, self._planned = settings, 0, FEW_BYTES

    def add(self, images: Image | ImageArray) -> None:
        self._bytes += bytes_of(images)
        if self._bytes > self._planned:
            self._planned = 2 * self._bytes
            memory.require_images(self._planned, self._settings.memory_gb)
