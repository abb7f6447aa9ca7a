"""Along which directions the axes of an MRD image run, and where its voxel n//2 lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import Image
from gadgetron_qsm.mrd.safe_xml import parse_xml

# Meta of the axes x, y, z. The header's directions stay those of the acquisition when an image is
# flipped or turned (ismrmrd's mrd_image_data.md).
META = ("ImageRowDir", "ImageColumnDir", "ImageSliceDir")
ACQUIRED = ("read_dir", "phase_dir", "slice_dir")


class Axes(NamedTuple):
    """Unit vectors (axis x y z, patient x y z) in LPS: of the acquisition, and of the array."""

    acquired: NDArray[np.float64]
    shown: NDArray[np.float64]

    def flipped(self) -> NDArray[np.bool_]:
        """Whether each axis x, y, z of the array runs against the direction it was acquired in."""
        along = self.shown @ self.acquired.T
        return np.take_along_axis(along, np.abs(along).argmax(axis=1)[:, None], 1)[:, 0] < 0

    def centre(
        self, position: Sequence[float], matrix: Sequence[int], voxel_size: Sequence[float]
    ) -> NDArray[np.float64]:
        """Where voxel n//2 lies, of an image whose header has `position`; matrix and mm (z, y, x).

        The origin of a transform, voxel n//2, is voxel n - 1 - n//2 once the axis was flipped:
        of an even number of voxels the one before n//2.
        """
        even = np.array(matrix[::-1]) % 2 == 0
        steps = np.where(self.flipped() & even, voxel_size[::-1], 0.0)
        return np.asarray(position, np.float64) + steps @ self.shown


def axes_of(image: Image) -> Axes:
    """Return the directions of an image, from its header and, where it has them, its meta.

    Raises QsmError for directions in the meta that are no vectors.
    """
    acquired = np.array([image.head[name] for name in ACQUIRED], np.float64)
    if "Dir</name>" not in image.meta:  # spares reading the meta of every slice
        return Axes(acquired, acquired.copy())
    vectors = _vectors(image.meta)
    shown = [vectors.get(name, own) for name, own in zip(META, acquired, strict=True)]
    return Axes(acquired, np.array(shown))


def _vectors(meta: str) -> dict[str, NDArray[np.float64]]:
    entries = parse_xml(meta, "the meta of an image").iter("meta")
    return {
        name: _vector(name, [value.text or "" for value in entry.iter("value")])
        for entry in entries
        if (name := entry.findtext("name") or "") in META
    }


def _vector(name: str, values: list[str]) -> NDArray[np.float64]:
    try:
        x, y, z = map(float, values)
    except ValueError as error:
        raise QsmError(f"{name} in the meta of an image is no vector of three numbers") from error
    return np.array([x, y, z])
