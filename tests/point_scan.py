"""Raw scans of points whose place in the patient is known; k-space is that of theory, no FFT's.

A sample at k (1/mm, along the axes of the slab) of a point at r mm from the slab's position is
exp(-2 pi i k r), times exp(-2 pi^2 width^2 k^2) where it is a Gaussian of that width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import COMPLEX
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, IMAGE_HEADER, Acquisition, Image

HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>
<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions><encoding>
<encodedSpace>{encoded}</encodedSpace><reconSpace>{recon}</reconSpace><encodingLimits>{limits}
</encodingLimits><trajectory>cartesian</trajectory></encoding>
<sequenceParameters><TE>5</TE></sequenceParameters></ismrmrdHeader>"""
SPACE = """<matrixSize><x>{0}</x><y>{1}</y><z>{2}</z></matrixSize>
<fieldOfView_mm><x>{3!r}</x><y>{4!r}</y><z>{5!r}</z></fieldOfView_mm>"""
LIMIT = "<{0}><minimum>0</minimum><maximum>{1}</maximum><center>{2}</center></{0}>"


@dataclass(frozen=True)
class Slab:
    """Axes are x, y, z throughout; `directions` has them as rows in LPS; `recon` is the matrix.

    Voxels of `shown` (default: of `recon`) are what the console would interpolate to.
    With `flat`, z counts slices, each scanned by itself.
    """

    directions: np.ndarray
    position: tuple[float, float, float]
    voxel: tuple[float, float, float]
    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    shown: tuple[int, int, int] | None = None
    flat: bool = False

    @property
    def header(self) -> Header:
        _, ny, nz = self.encoded
        along_z = ("slice", nz - 1, 0) if self.flat else ("kspace_encoding_step_2", nz - 1, nz // 2)
        limits = ("kspace_encoding_step_1", ny - 1, ny // 2), along_z
        text = HEADER.format(
            encoded=self._space(self.encoded, self.encoded),
            recon=self._space(self.shown or self.recon, self.recon),
            limits="".join(LIMIT.format(*limit) for limit in limits),
        )
        return Header.parse(text)

    def _space(self, matrix, voxels):
        """Return a matrix, and the field of view of so many voxels; of slices, that of one."""
        if self.flat:
            matrix, voxels = (*matrix[:2], 1), (*voxels[:2], 1)
        return SPACE.format(
            *matrix, *(n * size for n, size in zip(voxels, self.voxel, strict=True))
        )

    def along(self, point):
        """Millimetres along x, y, z from the position to a point in LPS."""
        return self.directions @ (np.asarray(point, float) - self.position)

    def at(self, *voxels):
        """Return the point in LPS that lies so many voxels along x, y, z from the position."""
        return np.array(self.position) + (np.array(voxels) * self.voxel) @ self.directions

    def readouts(self, point, width_mm=0.0):
        """All readouts of a scan of a point in LPS."""
        lines = [self._line(axis, r, width_mm) for axis, r in enumerate(self.along(point))]
        head = np.zeros((), ACQUISITION_HEADER)
        head["number_of_samples"], head["active_channels"] = self.encoded[0], 1
        head["center_sample"] = self.encoded[0] // 2
        head["read_dir"], head["phase_dir"], head["slice_dir"] = self.directions
        head["position"] = self.position
        for z, y in np.ndindex(self.encoded[2], self.encoded[1]):
            head["idx"]["kspace_encode_step_1"] = y
            head["idx"]["slice" if self.flat else "kspace_encode_step_2"] = z
            if self.flat:
                head["position"] = self.at(0, 0, z - self.encoded[2] // 2)
            data = (lines[0] * lines[1][y] * lines[2][z])[np.newaxis]
            yield Acquisition(head.copy()[()], data.astype(np.complex64))

    def images(self, data):
        """Return MRD images, one a volume or a slice, of (z, y, x) transformed elsewhere."""
        head = np.zeros((), IMAGE_HEADER)
        head["read_dir"], head["phase_dir"], head["slice_dir"] = self.directions
        head["field_of_view"] = np.multiply(self.recon, self.voxel)
        head["position"], head["image_type"] = self.position, COMPLEX
        if not self.flat:
            yield Image(head[()], data[np.newaxis].astype(np.complex64))
            return
        head["field_of_view"][2] = self.voxel[2]
        for z, plane in enumerate(data):
            head["slice"], head["position"] = z, self.at(0, 0, z - len(data) // 2)
            yield Image(head.copy()[()], plane[np.newaxis, np.newaxis].astype(np.complex64))

    def _line(self, axis, r, width_mm):
        """Samples along an axis; of slices, the signal of each."""
        n, voxel = self.encoded[axis], self.voxel[axis]
        steps = np.arange(n) - n // 2
        if axis == 2 and self.flat:
            away = steps * voxel - r
            return np.exp(-(away**2) / (2 * (width_mm or 1e-3) ** 2)) + 0j
        k = steps / (n * voxel)
        return np.exp(-2j * np.pi * k * r - 2 * (np.pi * width_mm * k) ** 2)
