"""What objects of many frames state beyond series of single slices (PS3.3 C.7.6.16, C.7.6.17)."""

from __future__ import annotations

from datetime import datetime

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import planes
from gadgetron_qsm.dicom.codes import coded, real_world_values
from gadgetron_qsm.dicom.common import described, log_losses, number, window
from gadgetron_qsm.dicom.identity import stable_uid
from gadgetron_qsm.dicom.pixels import Counts
from gadgetron_qsm.dicom.provenance import LONGEST_LT
from gadgetron_qsm.dicom.regions import BRAIN
from gadgetron_qsm.dicom.values import decimal, text
from gadgetron_qsm.mrd.header import Header

UNKNOWN = "unknown"
STACK = "1"
OF_SINGLE_IMAGES = ("DerivationDescription", "DerivationCodeSequence", "SourceImageSequence")


def frames_of(volume: Map, header: Header, stored: Counts, sop_class: UID, form: str) -> Dataset:
    """Return a map as one object of a class, less what the class has of its own, and the pixels.

    Each echo is an object of one series.
    """
    log_losses(volume, stored)
    dataset = described(volume, header, stored, form)
    number(dataset, sop_class, 1 + (volume.echo or 0))
    _add_equipment(dataset)
    _add_content_time(dataset)
    move_derivation(dataset)
    _add_frames(dataset, volume, header)
    _add_values(dataset, volume, stored)
    return dataset


def _add_equipment(dataset: Dataset) -> None:
    """Fill what the Enhanced General Equipment module wants and the header does not have."""
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, UNKNOWN)
    dataset.SoftwareVersions = UNKNOWN  # the scanner's, which MRD has no field for


def _add_content_time(dataset: Dataset) -> None:
    """Date the content, which is a must here: now, where the header has no time of the series."""
    if not (dataset.get("ContentDate") and dataset.get("ContentTime")):
        now = datetime.now()
        dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")


def move_derivation(dataset: Dataset) -> None:
    """Put how the image was made behind the comments.

    Frames have it beside references to source images alone, with the series of these; raw data
    have no source images, and MRD tells of images not their series.
    """
    both = f"{dataset.ImageComments} {dataset.DerivationDescription}"
    dataset.ImageComments = text(both, LONGEST_LT)
    for keyword in OF_SINGLE_IMAGES:
        if keyword in dataset:
            delattr(dataset, keyword)


def _add_frames(dataset: Dataset, volume: Map, header: Header) -> None:
    """Set a frame a slice, along row x column, and what places them (dimension: in the stack)."""
    geometry = volume.geometry
    order = geometry.slice_order
    dataset.NumberOfFrames = len(order)
    dataset.AcquisitionContextSequence = []
    _add_dimension(dataset)
    shared, measures, orientation, anatomy = Dataset(), Dataset(), Dataset(), Dataset()
    planes.add_measures(measures, geometry, header)
    shared.PixelMeasuresSequence = [measures]
    planes.add_orientation(orientation, geometry)
    shared.PlaneOrientationSequence = [orientation]
    anatomy.AnatomicRegionSequence = coded(BRAIN)
    anatomy.FrameLaterality = "U"
    shared.FrameAnatomySequence = [anatomy]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(volume, z, place) for place, z in enumerate(order, start=1)
    ]


def _add_values(dataset: Dataset, volume: Map, stored: Counts) -> None:
    """Set the functional groups of values: scale, window and unit, the same for all frames."""
    scale, shown = Dataset(), Dataset()
    scale.RescaleIntercept = decimal(stored.intercept)
    scale.RescaleSlope = decimal(stored.slope)
    scale.RescaleType = "US"
    centre, width = window(volume, stored)
    shown.WindowCenter, shown.WindowWidth = decimal(centre), decimal(width)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PixelValueTransformationSequence = [scale]
    shared.FrameVOILUTSequence = [shown]
    shared.RealWorldValueMappingSequence = real_world_values(volume, stored)
    dataset.PresentationLUTShape = "IDENTITY"


def _frame(volume: Map, z: int, place: int) -> Dataset:
    content, position, frame = Dataset(), Dataset(), Dataset()
    content.StackID = STACK
    content.InStackPositionNumber = place
    content.DimensionIndexValues = [place]
    planes.add_position(position, volume.geometry, z)
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [position]
    return frame


def _add_dimension(dataset: Dataset) -> None:
    organization, index = Dataset(), Dataset()
    uid = stable_uid(dataset.SOPInstanceUID, "dimensions")
    organization.DimensionOrganizationUID = uid
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionOrganizationType = "3D"
    index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer = tag_for_keyword("InStackPositionNumber")
    index.FunctionalGroupPointer = tag_for_keyword("FrameContentSequence")
    index.DimensionDescriptionLabel = "Place in the stack"
    dataset.DimensionIndexSequence = [index]
