"""A map as Parametric Map Storage (PS3.3 A.75): one object, a frame a slice, the values as floats.

Made here and not by a library, which would refer to source images that raw data do not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import ParametricMapStorage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.multiframe import frames_of
from gadgetron_qsm.dicom.pixels import unrounded
from gadgetron_qsm.dicom.values import text
from gadgetron_qsm.mrd.header import Header

QUANTITATIVE = ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]


def parametric(volume: Map, header: Header) -> Iterator[Dataset]:
    """Float32 values in the map's unit; each echo is an object of one series."""
    stored = unrounded(to_numpy(volume.data))
    dataset = frames_of(volume, header, stored, ParametricMapStorage, "parametric")
    _add_map(dataset, volume)
    order = list(volume.geometry.slice_order)
    dataset.FloatPixelData = stored.counts[order].astype("<f4").tobytes()
    yield dataset


def _add_map(dataset: Dataset, volume: Map) -> None:
    """Set the Parametric Map Image module and the functional groups of its own."""
    kind = kind_of(volume)
    dataset.ImageType = QUANTITATIVE
    dataset.ContentLabel = kind.image_type
    dataset.ContentDescription = _content(volume)
    dataset.ContentCreatorName = ""
    dataset.RecognizableVisualFeatures = "YES"  # a face may be rendered of a head's volume
    _, dataset.Rows, dataset.Columns = volume.geometry.matrix
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 32
    kind_of_frame = Dataset()
    kind_of_frame.FrameType = QUANTITATIVE
    dataset.SharedFunctionalGroupsSequence[0].ParametricMapFrameTypeSequence = [kind_of_frame]


def _content(volume: Map) -> str:
    """Return what the map shows; of which echo it is there is no other attribute for."""
    meaning = kind_of(volume).meaning
    if volume.echo is not None and volume.echo_time_s is not None:
        meaning = f"{meaning[:40]}, echo {volume.echo + 1} at {volume.echo_time_s * 1000:g} ms"
    return text(meaning, 64)
