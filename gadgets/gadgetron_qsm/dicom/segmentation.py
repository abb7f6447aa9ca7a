"""Regions as a DICOM Segmentation object (PS3.3 A.51): binary, one segment a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import companions, identity
from gadgetron_qsm.dicom.codes import coded
from gadgetron_qsm.dicom.provenance import SOFTWARE, comments, derivation
from gadgetron_qsm.dicom.regions import LATERALITIES, Region
from gadgetron_qsm.dicom.values import text
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

POSITION_TOLERANCE_MM = 0.01  # decimal strings of 16 characters are closer
COSINE_TOLERANCE = 1e-4


def segmentation(
    chi: Map,
    regions: Sequence[Region],
    sources: Sequence[Dataset],
    header: Header,
    asked: str = "",
) -> Dataset:
    """Make the Segmentation of regions of a map; `regions` as `occupied` returns them.

    sources: the images of the map, one a slice in any order or one multi-frame object; their
    pixels are not needed. They give patient, study and frame of reference, and each frame refers
    to the image it lies on. Frames without a voxel of a region are left out. `asked` is what the
    regions come from besides the map: of another one it is another object.
    Raises ValueError when the images do not lie where the slices of the map do.
    """
    from highdicom.seg import Segmentation

    series = segmentation_uid(regions, sources, asked)
    dataset: Dataset = Segmentation(
        source_images=companions.nameless(sources),
        pixel_array=_stack(regions, slice_indices(chi.geometry, sources)),
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(region, number, series) for number, region in enumerate(regions, start=1)
        ],
        series_number=identity.series_number(chi, header, identity.SEGMENTATION),
        **companions.made_here(series),
        device_serial_number=__version__,  # type 1, and software has no other
        content_label="QSM_REGIONS",
        content_description="Regions of the susceptibility map",
    )
    _name_dimensions(dataset, series)
    companions.complete(dataset, sources[0], f"{identity.series_description(chi, header)} regions")
    dataset.DerivationDescription = derivation(chi.report.get("provenance", {}))
    dataset.ImageComments = comments(chi)
    return dataset


def segmentation_uid(regions: Sequence[Region], sources: Sequence[Dataset], asked: str = "") -> str:
    """SeriesInstanceUID: the same for the same series of images, names, and what was asked for."""
    named = [*(region.label for region in regions), *filter(None, [asked])]
    return identity.stable_uid("segmentation", str(sources[0].SeriesInstanceUID), *named)


def tracking_uid(region: Region, series: str) -> str:
    """Identifier of one region in the Segmentation of that series and in reports about it."""
    return identity.stable_uid("region", series, region.label)


def slice_indices(geometry: Geometry, sources: Sequence[Dataset]) -> list[int]:
    """Index z of the map's slice on which each image, or frame of the one image, lies.

    Raises ValueError when they are not exactly the slices of the map.
    """
    positions, orientation = _planes(sources)
    homogeneous = np.column_stack([positions, np.ones(len(positions))])
    indices = np.rint(homogeneous @ np.linalg.inv(geometry.affine).T)
    off = np.abs(indices @ geometry.affine.T - homogeneous).max()
    turned = np.abs(np.subtract(orientation, geometry.image_orientation)).max()
    x, y, z = indices[:, :3].astype(int).T
    if off > POSITION_TOLERANCE_MM or turned > COSINE_TOLERANCE or x.any() or y.any():
        raise ValueError("the images do not lie where the slices of the map do")
    if sorted(z) != list(range(geometry.matrix[0])):
        raise ValueError(f"{len(z)} images are not the {geometry.matrix[0]} slices of the map")
    return z.tolist()


def _planes(sources: Sequence[Dataset]) -> tuple[NDArray, list[float]]:
    """Return ImagePositionPatient (plane, 3) and ImageOrientationPatient of the first."""
    if "PerFrameFunctionalGroupsSequence" not in sources[0]:
        positions = [source.ImagePositionPatient for source in sources]
        return np.array(positions, dtype=np.float64), list(sources[0].ImageOrientationPatient)
    frames = sources[0].PerFrameFunctionalGroupsSequence
    shared = sources[0].SharedFunctionalGroupsSequence[0]
    positions = [_group("PlanePosition", f, shared).ImagePositionPatient for f in frames]
    turned = _group("PlaneOrientation", frames[0], shared).ImageOrientationPatient
    return np.array(positions, dtype=np.float64), list(turned)


def _group(name: str, frame: Dataset, shared: Dataset) -> Dataset:
    keyword = f"{name}Sequence"
    return (frame if keyword in frame else shared)[keyword][0]


def _stack(regions: Sequence[Region], order: Sequence[int]) -> NDArray[np.uint8]:
    """Masks in the order of the images: (image, row, column, region)."""
    stack = np.empty((*regions[0].mask.shape, len(regions)), dtype=np.uint8)
    for number, region in enumerate(regions):
        stack[..., number] = region.mask[list(order)]
    return stack


def _description(region: Region, number: int, series: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import Code, codes

    # The family is mandatory; every method of masking here ends with morphology.
    algorithm = AlgorithmIdentificationSequence(
        SOFTWARE, codes.DCM.MorphologicalOperations, __version__, source=SOFTWARE
    )
    item = SegmentDescription(
        segment_number=number,
        segment_label=text(region.label, 64),
        segmented_property_category=Code(*region.category),
        segmented_property_type=Code(*region.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=tracking_uid(region, series),
        tracking_id=region.label,
    )
    if region.laterality:
        of_type = item.SegmentedPropertyTypeCodeSequence[0]
        of_type.SegmentedPropertyTypeModifierCodeSequence = coded(LATERALITIES[region.laterality])
    return item


def _name_dimensions(dataset: Dataset, series: str) -> None:
    """Give the dimensions a stable identifier instead of a random one."""
    uid = identity.stable_uid("dimensions", series)
    for item in (*dataset.DimensionIndexSequence, *dataset.DimensionOrganizationSequence):
        item.DimensionOrganizationUID = uid
