"""One repetition of a scan: its lines to coil images."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory
from gadgetron_qsm.ingest.calibration import Calibration
from gadgetron_qsm.ingest.complete import complete
from gadgetron_qsm.ingest.partial_fourier import acquired, fill_partial_fourier
from gadgetron_qsm.ingest.slices import reorder, stacked
from gadgetron_qsm.journal import Journal, rounded
from gadgetron_qsm.kspace.assemble import KY, KZ, Assembly
from gadgetron_qsm.kspace.bipolar import odd_even_phase, remove_odd_even
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.kspace.sampling import encoded_rectangle
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Record
from gadgetron_qsm.settings import KSpaceSettings

STEPS = ("kspace_encode_step_2", "kspace_encode_step_1")


class Volume:
    """Lines of one repetition, whitened and compressed, on their way to coil images."""

    def __init__(
        self, header: Header, settings: KSpaceSettings, coils: int, journal: Journal
    ) -> None:
        """Raises QsmError when the memory does not suffice."""
        self._header, self._settings, self._journal = header, settings, journal
        self._flat = header.slices is not None  # 2D: slices are no direction of k-space
        nz, ny, _ = header.encoded_matrix
        nz, nx = header.slices or nz, header.native_volume[0][2]
        shape = (len(header.echo_times_s), coils, nz, ny, nx)
        memory.require(shape, settings.memory_gb)
        self._announced = self._rectangle((nz, ny))
        axes = (KY,) if self._flat else (KZ, KY)
        self._assembly = Assembly(shape, axes=axes, awaited=self._awaited())
        self._heads: dict[int, Record] = {}  # of one readout of each slice
        self._reversed = np.zeros(shape[0], bool)
        self._extents = np.zeros((shape[0], 2))  # of the readout about k = 0, in whole ones

    def add(
        self, lines: Array, heads: np.ndarray, *, extent: tuple[float, float], reverse: bool
    ) -> None:
        """Place lines (line, coil, x) by the counters of their heads (line,).

        `extent` is where the readouts begin and end about k = 0, in parts of a whole one.
        """
        echo, kz, ky = counters(heads, self._header)
        slices = heads["idx"]["slice"].astype(int)
        nz, ny = self._announced.shape
        try:
            self._assembly.add(lines, (echo, slices if self._flat else kz + nz // 2, ky + ny // 2))
        except ValueError as error:
            raise QsmError(f"the raw data does not fit its header: {error}") from error
        self._extents[echo] = extent
        self._reversed[echo] = reverse
        for number in np.unique(slices).tolist():
            self._heads.setdefault(number, heads[np.argmax(slices == number)])

    def finish(self, calibration: Calibration) -> CoilImages:
        """Fill what was left out, transform and correct; raise QsmError when it is incomplete."""
        kernels = self._complete(calibration)
        samples = self._assembly.data.shape[-1]
        fill_partial_fourier(
            self._assembly.hybrid,
            self._announced,
            [acquired(first, last, samples) for first, last in self._extents.tolist()],
            samples,
            slices=self._flat,
            method=self._settings.partial_fourier,
            journal=self._journal,
        )
        matrix, fov_mm = self._header.native_volume
        images = self._assembly.images(matrix[:2])
        first = self._heads[min(self._heads)]
        if self._flat:
            order, geometry = stacked(self._header, self._heads)
            reorder(images, order)
            kernels = [kernels[number] for number in order]
        else:
            geometry = self._header.geometry(first, matrix, fov_mm)
        self._correct_bipolar(images)
        return CoilImages(
            data=images,
            geometry=geometry,
            report=self._journal.report(),
            repetition=int(first["idx"]["repetition"]),
            kernels=kernels if all(kernels) else [],
        )

    def _complete(self, calibration: Calibration) -> list[list[Kernels]]:
        """Fill lines left out; return the kernels of each slice, or of the one volume."""
        came = self._assembly.count > 0
        nz = len(self._announced)
        parts = [slice(z, z + 1) for z in range(nz)] if self._flat else [slice(0, nz)]
        return [
            complete(
                lambda part=part: self._assembly.hybrid()[:, :, part],  # type: ignore[misc]
                came[:, part],
                self._announced[part],
                self._header.acceleration,
                calibration=calibration.block(number),
                settings=self._settings,
                journal=self._journal,
            )
            for number, part in enumerate(parts)
        ]

    def _correct_bipolar(self, images: Array) -> None:
        if not self._reversed.any() or self._reversed.all():
            return
        if self._settings.odd_even == "leave":
            self._journal.warn("bipolar readouts: their odd-even phase was left in")
            return
        try:
            found = odd_even_phase(images, self._header.echo_times_s, self._reversed.tolist())
        except ValueError as error:
            self._journal.warn(f"bipolar readouts: {error}")
            return
        remove_odd_even(images, found, self._reversed.tolist())
        self._journal.provenance["odd_even_phase"] = {
            "constant_rad": rounded(found.constant_rad),
            "slope_zyx_rad_per_fov": [rounded(slope) for slope in found.slope_rad],
        }
        self._journal.quality["odd_even_residual_rad"] = rounded(found.residual_rad)

    def _rectangle(self, shape: tuple[int, int]) -> np.ndarray:
        """Lines (kz, ky) that the header announces; slices take the place of kz."""
        limits = [self._header.limit(step) for step in STEPS]
        ranges = [(limit.minimum, limit.maximum, limit.center) for limit in limits]
        if self._flat:
            ranges[0] = (0, shape[0] - 1, shape[0] // 2)
        return encoded_rectangle(shape, tuple(ranges))

    def _awaited(self) -> np.ndarray | None:
        """How often each line (kz, ky) comes, where no line is filled by the others."""
        if self._header.acceleration != (1, 1) or self._settings.partial_fourier != "zero":
            return None
        return self._announced * np.uint16(self._header.averages)


def counters(heads: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Echo, kz and ky of readouts, each (line,); kz and ky relative to k = 0."""
    idx = heads["idx"]
    spaces = heads["encoding_space_ref"]
    kz, ky = (idx[step].astype(int) for step in STEPS)
    for space in np.unique(spaces).tolist():
        here = spaces == space
        kz[here] -= header.center(STEPS[0], space)
        ky[here] -= header.center(STEPS[1], space)
    return idx["contrast"].astype(int), kz, ky
