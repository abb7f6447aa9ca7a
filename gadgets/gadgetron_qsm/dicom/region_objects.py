"""The objects that outline and measure the regions of a map, in the order of sending."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.measurements import measurement_report
from gadgetron_qsm.dicom.regions import Region, occupied, whole_brain
from gadgetron_qsm.dicom.segmentation import segmentation as segmentation_of
from gadgetron_qsm.mrd.header import Header


def region_objects(
    chi: Map,
    regions: Sequence[Region],
    sources: Sequence[Dataset],
    header: Header,
    *,
    segmentation: bool,
    measurements: bool,
    others: Sequence[Map] = (),
    asked: str = "",
) -> Iterator[Dataset]:
    """Give the Segmentation, if asked for, and then the report, if asked for.

    `others` are maps on the grid of chi that are reported with it; `asked` as in `segmentation`.
    A report refers to the segments it measures, so that one alone brings the Segmentation along.
    sources: the images of chi as they are sent, in full but for PixelData: either one dataset a
    slice, in any order, or one multi-frame object. They need patient, study, series, frame of
    reference and plane, SOPClassUID, SOPInstanceUID, Rows and Columns. De-identified images give
    de-identified objects, which are of today where the images have no date.
    The whole brain is where chi holds: a report measures of each region what lies in it, and
    regions without a voxel there are left out with a warning in the log. Raises QsmError when none
    is left, ValueError when the regions lack the whole brain or the images are not those of chi.
    """
    if not (segmentation or measurements):
        return
    kept = occupied(regions, whole_brain(regions).mask if measurements else None)
    outlined = segmentation_of(chi, kept, sources, header, asked)
    yield outlined
    if measurements:
        yield measurement_report(chi, kept, outlined, sources, header, others)
