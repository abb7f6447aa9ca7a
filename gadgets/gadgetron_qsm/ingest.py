"""Whatever a peer sends, to coil images: readouts, buckets, buffers or images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    Image,
    ImageArray,
    Message,
    ReconBuffer,
    ReconData,
)
from gadgetron_qsm.mrd.volumes import image_array_to_coil_images, images_to_coil_images
from gadgetron_qsm.readouts import Readouts, is_calibration_alone
from gadgetron_qsm.settings import KSpaceSettings


def coil_images(
    messages: Iterable[Message], header: Header, settings: KSpaceSettings
) -> CoilImages:
    """Consume a stream and return its coil images (echo, coil, z, y, x).

    Takes acquisitions, buckets, ReconData, ImageArrays and images (complex, or pairs of magnitude
    and phase), one volume of several echoes. Texts and waveforms are passed over.
    Raises QsmError when they are incomplete, mixed, or more than the header announces.
    """
    readouts = Readouts(header, settings)
    images: list[Image] = []
    arrays: list[ImageArray] = []
    for message in messages:
        if isinstance(message, Image):
            images.append(message)
        elif isinstance(message, ImageArray):
            arrays.append(message)
        else:
            for readout in _readouts_of(message):
                readouts.add(readout)
    if readouts.started + bool(images) + len(arrays) > 1:
        raise QsmError(
            "the stream mixes readouts, images and image arrays, or has several arrays; send the "
            "scan once, in one form"
        )
    if images:
        return images_to_coil_images(images, header)
    if arrays:
        return image_array_to_coil_images(arrays[0], header)
    return readouts.finish()


def _readouts_of(message: Message) -> Iterator[Acquisition]:
    if isinstance(message, Acquisition):
        yield message
    elif isinstance(message, Bucket):
        yield from message.data
        yield from filter(is_calibration_alone, message.reference)
    elif isinstance(message, ReconData):
        yield from _buffered_lines(message)


def _buffered_lines(recon: ReconData) -> Iterator[Acquisition]:
    """Take the lines out of Gadgetron's buffers (E0, E1, E2, coil, N, S, LOC).

    The buffer has placed each line's samples, whatever the line's own header says of them.
    """
    if len(recon.bits) != 1:
        raise QsmError(f"ReconData has {len(recon.bits)} encoding spaces; only one is supported")
    data, reference = recon.bits[0]
    yield from _lines(data)
    if reference:
        yield from filter(is_calibration_alone, _lines(reference))


def _lines(buffer: ReconBuffer) -> Iterator[Acquisition]:
    for at in np.ndindex(buffer.headers.shape):
        head = buffer.headers[at].copy()
        if head["number_of_samples"]:
            head["number_of_samples"] = buffer.data.shape[0]
            head["center_sample"] = buffer.sampling["limits"][0][1]
            head["discard_pre"] = head["discard_post"] = 0
            e1, e2, *rest = at
            line = buffer.data[(slice(None), e1, e2, slice(None), *rest)]
            yield Acquisition(head, np.ascontiguousarray(line.T))
