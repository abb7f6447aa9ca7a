"""One repetition of a scan: its lines to coil images."""

from __future__ import annotations

from functools import partial

import numpy as np

from gadgetron_qsm.arrays import Array, on_device, to_numpy
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory
from gadgetron_qsm.ingest.announced import STEPS, announced_lines
from gadgetron_qsm.ingest.calibration import Calibration
from gadgetron_qsm.ingest.complete import MOST_ACCELERATED, complete
from gadgetron_qsm.ingest.early import Early
from gadgetron_qsm.ingest.partial_fourier import acquired, fill_partial_fourier
from gadgetron_qsm.ingest.readouts import Extent, misfit
from gadgetron_qsm.ingest.slices import reorder, stacked
from gadgetron_qsm.journal import Journal, rounded
from gadgetron_qsm.kspace.assemble import KY, KZ, Assembly, Place
from gadgetron_qsm.kspace.bipolar import mirrored_echoes, odd_even_phase, remove_odd_even
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Record
from gadgetron_qsm.settings import KSpaceSettings


class Volume:
    """Lines of one repetition, whitened and compressed, on their way to coil images."""

    def __init__(
        self,
        header: Header,
        settings: KSpaceSettings,
        coils: int,
        journal: Journal,
        calibration: Calibration,
        *,
        like: Array | None = None,
    ) -> None:
        """Put it where an array `like` is; raise QsmError when the memory does not suffice."""
        self._header, self._settings, self._journal = header, settings, journal
        self._calibration = calibration
        self._flat = header.slices is not None  # 2D: slices are no direction of k-space
        shape = kspace_shape(header, coils)
        nz, ny = shape[2:4]
        if not on_device(like):  # whose memory was asked for before it was chosen
            memory.require(shape, settings.memory_gb)
        self._announced = announced_lines(header, (nz, ny), settings, journal)
        self._parts = [slice(z, z + 1) for z in range(nz)] if self._flat else [slice(0, nz)]
        axes = (KY,) if self._flat else (KZ, KY)
        self._assembly = Assembly(shape, axes=axes, awaited=self._awaited(), like=like)
        self._early = self._early_filling()
        self._heads: dict[int, Record] = {}  # of one readout of each slice
        self._directions = np.zeros((shape[0], 2), bool)  # read forwards, backwards
        self._extents = np.tile([-1.0, 1.0], (shape[0], 1))  # that all readouts of an echo have

    def add(
        self, lines: Array, heads: np.ndarray, place: Place, *, extent: Extent, reverse: bool
    ) -> None:
        """Place lines (line, coil, x) of heads (line,), whose `counters` are `place`.

        `extent` is where the readouts begin and end about k = 0, in parts of a whole one.
        """
        echo, kz, ky = place
        slices = heads["idx"]["slice"].astype(int)
        nz, ny = self._announced.shape
        place = echo, slices if self._flat else kz + nz // 2, ky + ny // 2
        if not on_device(self._assembly.data):
            lines = to_numpy(lines)  # a device that had no room for k-space may have made them
        try:
            self._assembly.add(lines, place)
        except ValueError as error:
            raise misfit(error) from error
        if self._early:
            self._early.came(place)
        self._directions[echo, int(reverse)] = True
        self._extents[echo, 0] = np.maximum(self._extents[echo, 0], extent[0])
        self._extents[echo, 1] = np.minimum(self._extents[echo, 1], extent[1])
        for number in np.unique(slices).tolist():
            head = self._heads.setdefault(number, heads[np.argmax(slices == number)])
            if not np.isfinite(head["position"]).all():
                raise QsmError(
                    "the position of a readout is not finite; the converter did not fill it in"
                )

    def finish(self) -> CoilImages:
        """Fill what was left out, transform and correct; raise QsmError when it is incomplete."""
        self._announced |= self._assembly.count.any(axis=0)
        self._warn_of_fewer_averages()
        kernels = self._complete()
        self._fill_partial_fourier()
        matrix, fov_mm = self._header.native_volume
        images = self._assembly.images(matrix[:2])
        first = self._heads[min(self._heads)]
        if self._flat:
            order, geometry = stacked(self._header, self._heads, self._journal)
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

    def _complete(self) -> list[list[Kernels]]:
        """Fill lines left out; return the kernels of each slice, or of the one volume."""
        came = self._assembly.count > 0
        return [
            complete(
                partial(self._hybrid, part),
                came[:, part],
                self._announced[part],
                self._header.acceleration,
                calibration=self._calibration.block(number),
                early=self._early,
                settings=self._settings,
                journal=self._journal,
            )
            for number, part in enumerate(self._parts)
        ]

    def _hybrid(self, part: slice) -> Array:
        if self._early:
            self._early.undo()
        return self._assembly.hybrid()[:, :, part]

    def _fill_partial_fourier(self) -> None:
        samples = self._assembly.data.shape[-1]
        fill_partial_fourier(
            self._assembly.hybrid,
            self._announced,
            [acquired(first, last, samples) for first, last in self._extents.tolist()],
            samples,
            parts=self._parts,
            method=self._settings.partial_fourier,
            journal=self._journal,
        )

    def _correct_bipolar(self, images: Array) -> None:
        forwards, backwards = self._directions.T
        if not (forwards.any() and backwards.any()):
            self._warn_of_mirrored(images)
            return
        if (forwards & backwards).any():
            self._journal.warn("echoes mix lines read forwards and backwards: expect ghosts")
            return
        if self._settings.odd_even == "leave":
            self._journal.warn("bipolar readouts: their odd-even phase was left in")
            return
        try:
            found = odd_even_phase(images, self._header.echo_times_s, backwards.tolist())
        except ValueError as error:
            self._journal.warn(f"bipolar readouts: {error}")
            return
        remove_odd_even(images, found, backwards.tolist())
        self._journal.provenance["odd_even_phase"] = {
            "constant_rad": rounded(found.constant_rad),
            "slope_zyx_rad_per_fov": [rounded(slope) for slope in found.slope_rad],
        }
        self._journal.quality["odd_even_residual_rad"] = rounded(found.residual_rad)

    def _warn_of_mirrored(self, images: Array) -> None:
        mirrored = [str(echo + 1) for echo in mirrored_echoes(images)]
        if mirrored:
            self._journal.warn(
                f"echoes {', '.join(mirrored)} look mirrored, as if read backwards; set "
                "kspace.reversed_echoes=even (or odd) when the readouts are bipolar"
            )

    def _warn_of_fewer_averages(self) -> None:
        count, averages = self._assembly.count, self._header.averages
        fewer = int(((count > 0) & (count < averages)).sum())
        if fewer:
            self._journal.warn(
                f"{fewer} of {np.count_nonzero(count)} lines came fewer than the {averages} times "
                "that the header announces"
            )

    def _early_filling(self) -> Early | None:
        """What fills the lines left out as the scan goes on, where that is done alike for all."""
        z, y = (max(factor, 1) for factor in self._header.acceleration)
        settings = self._settings
        asked_for = settings.parallel_imaging != "sense" and settings.kernels == "all_echoes"
        if self._flat or not asked_for or not 1 < max(z, y) <= MOST_ACCELERATED:
            return None
        return Early(
            self._assembly,
            self._announced,
            (z, y),
            self._calibration,
            apart=self._header.calibration_apart,
            averages=self._header.averages,
            transforms=settings.partial_fourier == "zero" or bool(self._announced.all()),
        )

    def _awaited(self) -> np.ndarray | None:
        """How often each line (kz, ky) comes, where no line is filled by the others."""
        if self._header.acceleration != (1, 1) or self._settings.partial_fourier != "zero":
            return None
        return self._announced * np.uint16(self._header.averages)


def kspace_shape(header: Header, coils: int) -> tuple[int, int, int, int, int]:
    """Return the shape (echo, coil, kz, ky, x) of the lines; slices of a 2D scan stand for kz."""
    nz, ny, _ = header.encoded_matrix
    samples = header.native_volume[0][2]
    return len(header.echo_times_s), coils, header.slices or nz, ny, samples


def counters(heads: np.ndarray, header: Header) -> Place:
    """Echo, kz and ky of readouts, each (line,); kz and ky relative to k = 0."""
    idx = heads["idx"]
    spaces = heads["encoding_space_ref"]
    kz, ky = (idx[step].astype(int) for step in STEPS)
    for space in np.unique(spaces).tolist():
        here = spaces == space
        kz[here] -= header.center(STEPS[0], space)
        ky[here] -= header.center(STEPS[1], space)
    return idx["contrast"].astype(int), kz, ky
