"""Volumes as single slices, which scanners number and place one by one, and back again.

MRD's position is that of the centre of an image's field of view: of voxel n//2 on each axis, as
for a centred FFT (see geometry.py). A volume of even n therefore has it half a voxel off the
middle of its n voxels, which whoever takes the middle reads as a shift. For a single slice that
cannot be along slice_dir: its position is on the slice. In the plane the convention stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gadgetron_qsm.data import Map
from gadgetron_qsm.mrd import meta
from gadgetron_qsm.mrd.images import (
    OWN,
    SLICES,
    exact_geometry,
    geometry_of,
    image_to_map,
    own_meta,
)
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.stacks import stack_slices
from gadgetron_qsm.mrd.wire import image_head


def slices_of(image: Image) -> Iterator[Image]:
    """Cut a volume into one image a slice, along row x column as DICOM numbers them.

    `slice` counts them from 0, image_index (DICOM's InstanceNumber) from 1, those of a later echo
    behind those of the earlier ones. The field of view along slice_dir becomes the distance
    between slices; the directions stay, left-handed ones too.
    """
    geometry = exact_geometry(image, geometry_of(image))
    count, ny, nx = geometry.matrix
    before = (int(image.head["image_index"]) - 1) * count
    for number, z in enumerate(geometry.slice_order):
        head = image.head.copy()
        head["position"] = (geometry.affine @ [nx // 2, ny // 2, z, 1])[:3]
        head["field_of_view"][2] = geometry.voxel_size[0]
        head["slice"], head["image_index"] = number, before + number + 1
        numbers = {meta.IMAGE_NUMBER: str(before + number + 1), OWN + SLICES: str(count)}
        text = meta.changed(image.meta, numbers)
        one = Image(head, image.data[:, z : z + 1], text)
        yield Image(image_head(one), one.data, text)


def images_to_maps(images: Iterable[Image]) -> Iterator[Map]:
    """Maps from the images of `map_to_image`, volumes or the slices of them, in any order.

    A map is given when the last of its slices has come. Raises QsmError for slices that are
    missing at the end, double or not evenly spaced, and as `image_to_map` does.
    """
    waiting = defaultdict(list)
    for image in images:
        count = own_meta(image).get(SLICES, 1)
        if count == 1:
            yield image_to_map(image)
            continue
        key = tuple(int(image.head[name]) for name in _OF_A_MAP)
        waiting[key].append(image)
        if len(waiting[key]) == count:
            yield image_to_map(_joined(waiting.pop(key)))
    for slices in waiting.values():
        _joined(slices)  # which says what is missing


_OF_A_MAP = ("image_series_index", "repetition", "contrast")


def _joined(slices: list[Image]) -> Image:
    own = own_meta(slices[0])
    together = stack_slices(slices, f"map '{own.get('map')}'", own[SLICES])
    head = together.image.head.copy()
    head["field_of_view"][2] = len(slices) * (together.spacing_mm or head["field_of_view"][2])
    return Image(head, together.data, together.image.meta)
