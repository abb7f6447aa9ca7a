"""A map as classic MR Image Storage (PS3.3 A.4), one object a slice.

What to report: doi:10.1002/mrm.30006. Real World Value Mapping (PS3.3 C.7.6.16.2.11) is the one
lawful scale of a classic MR image, whose module has no rescale; scanners write one all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import MRImageStorage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import planes
from gadgetron_qsm.dicom.codes import real_world_values
from gadgetron_qsm.dicom.common import (
    add_pixel_format,
    add_pixels,
    described,
    log_losses,
    number,
    window,
)
from gadgetron_qsm.dicom.files import copies
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.pixels import Counts, quantise, quantise12
from gadgetron_qsm.dicom.protocol import add_sequence
from gadgetron_qsm.dicom.values import decimal
from gadgetron_qsm.mrd.header import Header


def classic(volume: Map, header: Header) -> Iterator[Dataset]:
    """Signed 16-bit counts of one unit each; of one step where the unit is too coarse.

    Only steps need a rescale. Without one, readers that know no real world values are right too.
    """
    stored = quantise(to_numpy(volume.data), kind_of(volume).step)
    return _slices(volume, header, stored, "classic", rescale=stored.slope != 1)


def rescaled(volume: Map, header: Header) -> Iterator[Dataset]:
    """Unsigned 12-bit counts with a rescale, as scanners' injectors and old viewers take them.

    Against the module's letter (a Standard Extended SOP Class, PS3.2): validators warn of it.
    """
    stored = quantise12(to_numpy(volume.data), kind_of(volume).step, volume.reach)
    return _slices(volume, header, stored, "rescaled", rescale=True)


def _slices(
    volume: Map, header: Header, stored: Counts, form: str, *, rescale: bool
) -> Iterator[Dataset]:
    """Numbered along row x column; those of a later echo behind those of the earlier ones."""
    log_losses(volume, stored)
    shared = _shared(volume, header, stored, form)
    if rescale:
        shared.RescaleIntercept = decimal(stored.intercept)
        shared.RescaleSlope = decimal(stored.slope)
        shared.RescaleType = "US"
    first = 1 + (volume.echo or 0) * volume.geometry.matrix[0]
    order = volume.geometry.slice_order
    for instance, (z, dataset) in enumerate(zip(order, copies(shared, len(order)), strict=True)):
        number(dataset, MRImageStorage, first + instance)
        planes.add_position(dataset, volume.geometry, z)
        dataset.SliceLocation = decimal(planes.location(volume.geometry, z))
        add_pixels(dataset, stored.counts[z])
        yield dataset


def _shared(volume: Map, header: Header, stored: Counts, form: str) -> Dataset:
    kind = kind_of(volume)
    dataset = described(volume, header, stored, form)
    add_sequence(dataset, volume, header)
    dataset.ImageType = ["DERIVED", "PRIMARY", kind.flavour, kind.image_type]
    dataset.BodyPartExamined = "BRAIN"
    add_pixel_format(dataset, volume, stored)
    centre, width = window(volume, stored)
    dataset.WindowCenter, dataset.WindowWidth = decimal(centre), decimal(width)
    dataset.RealWorldValueMappingSequence = real_world_values(volume, stored)
    planes.add_measures(dataset, volume.geometry, header)
    planes.add_orientation(dataset, volume.geometry)
    return dataset
