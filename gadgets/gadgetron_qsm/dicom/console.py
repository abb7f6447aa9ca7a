"""What goes back to who sent the scan: MRD images, DICOM messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.common import log_losses, window
from gadgetron_qsm.dicom.files import encoded
from gadgetron_qsm.dicom.identity import series_description
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.pixels import Counts, quantise, quantise12, unrounded
from gadgetron_qsm.dicom.provenance import comments
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.messages import DicomFile, Image
from gadgetron_qsm.mrd.slices import slices_of
from gadgetron_qsm.outgoing_sections import DeliverSettings

PIXELS: Mapping[str, Callable[[NDArray[np.floating], float, float | None], Counts]] = {
    "float32": lambda data, _, __: unrounded(data),
    "int16": lambda data, step, _: quantise(data, step),
    "uint12": quantise12,
}


def images_of(
    volume: Map, series_index: int, header: Header, settings: DeliverSettings
) -> Iterator[Image]:
    """A map as an MRD image with the pixels that `settings` names, or one a slice.

    Values that are not finite become 0, those beyond the pixels' range the nearest in it; the
    image's comment and the log count them.
    """
    kind = kind_of(volume)
    stored = PIXELS[settings.image_pixels](to_numpy(volume.data), kind.step, volume.reach)
    log_losses(volume, stored)
    image = map_to_image(
        volume,
        series_index,
        description=series_description(volume, header),
        comment=comments(volume, stored),
        image_type=kind.image_type,
        window=window(volume, stored),
        stored=stored,
    )
    return slices_of(image) if settings.image_slices else iter([image])


def to_message(dataset: Dataset) -> DicomFile:
    """A DICOM object as a message, named by the numbers of series and instance.

    A Gadgetron refuses such messages; our own server's clients get them.
    """
    return DicomFile(encoded(dataset), f"{dataset.SeriesNumber}_{dataset.InstanceNumber:04d}")
