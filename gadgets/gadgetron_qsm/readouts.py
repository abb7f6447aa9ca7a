"""Readouts of one volume, sorted by their flags and counters, to coil images."""

from __future__ import annotations

import logging

import ismrmrd
import numpy as np

from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.kspace.fourier import centred_ifft, crop_centre
from gadgetron_qsm.kspace.prewhiten import noise_covariance, whitening_matrix
from gadgetron_qsm.mrd.header import Header, Limit
from gadgetron_qsm.mrd.messages import Acquisition, Record
from gadgetron_qsm.settings import KSpaceSettings

log = logging.getLogger(__name__)

BATCH = 256  # readouts that are transformed and placed together
ONE_VOLUME = ("slice", "phase", "repetition", "set")


def _flags(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


NOISE = _flags(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
REVERSE = _flags(ismrmrd.ACQ_IS_REVERSE)
NOT_IMAGING = _flags(
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    30,  # phase stabilisation reference, and
    31,  # phase stabilisation: nameless in older ismrmrd
)


class Readouts:
    """Readouts on their way into an Assembly, in batches of lines of one kind."""

    def __init__(self, header: Header, settings: KSpaceSettings) -> None:
        self._header = header
        self._settings = settings
        self._noise: list[np.ndarray] = []
        self._batch: list[Acquisition] = []
        self._first: Record = None
        self._assembly: Assembly | None = None
        self._reversed = False

    @property
    def started(self) -> bool:
        """Whether a readout of the image has come."""
        return self._first is not None

    def add(self, readout: Acquisition) -> None:
        """Take one readout; its flags tell noise, the image, and what is no part of it."""
        flags = int(readout.head["flags"])
        if flags & NOISE:
            self._noise.append(readout.data)
            return
        if flags & NOT_IMAGING:
            return
        if self._first is None:
            self._first = readout.head
            self._assembly = self._start(readout)
        if self._batch and _kind(readout.head) != _kind(self._batch[0].head):
            self._flush()
        self._batch.append(readout)
        if len(self._batch) == BATCH:
            self._flush()

    def finish(self) -> CoilImages:
        """Transform what was assembled; raise QsmError when it is incomplete."""
        if self._assembly is None:
            raise QsmError("the stream ended without a readout or image of the scan")
        self._flush()
        warnings = self._check_complete(self._assembly.count > 0)
        if self._reversed:
            warnings.append("bipolar readouts: eddy-current phase between echoes is not corrected")
        if not self._noise:
            warnings.append(
                "no noise readouts: the noise of all coils was taken as equal and white"
            )
        hybrid = self._assembly.finish()
        matrix, fov_mm = self._kept()
        data = np.empty((*hybrid.shape[:2], *matrix), np.complex64)
        for echo, volume in enumerate(hybrid):
            image = centred_ifft(volume, axes=[1, 2])
            data[echo] = crop_centre(crop_centre(image, matrix[0], axis=1), matrix[1], axis=2)
        provenance = {"method": "centred FFT", "noise_whitened": bool(self._noise)}
        return CoilImages(
            data=data,
            geometry=self._header.geometry(self._first, matrix, fov_mm),
            report={
                "provenance": {"scan": _fingerprint(self._first), "kspace": provenance},
                "warnings": warnings,
            },
        )

    def _start(self, readout: Acquisition) -> Assembly:
        header = self._header
        coils = readout.data.shape[0]
        nz, ny, nx = header.encoded_matrix
        kept = self._kept()[0][2]
        center = int(readout.head["center_sample"])
        half = max(center, readout.data.shape[1] - center)
        samples = kept if half <= (kept + 1) // 2 else nx  # or oversampling is gone already
        log.info(
            "readouts: %d echoes, %d coils, %d partitions x %d lines x %d samples, %.0f MB",
            *(len(header.echo_times_s), coils, nz, ny, kept),
            len(header.echo_times_s) * coils * nz * ny * kept * 8e-6,
        )
        return Assembly(
            len(header.echo_times_s), coils, (nz, ny, samples), kept, whitening=self._whitening()
        )

    def _whitening(self) -> np.ndarray | None:
        if not self._noise:
            return None
        try:
            return whitening_matrix(noise_covariance(np.concatenate(self._noise, axis=1)))
        except ValueError as error:
            raise QsmError(f"the noise readouts cannot be used: {error}") from error

    def _kept(self) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
        """Matrix and field of view (z, y, x) without oversampling, voxels as acquired."""
        header = self._header
        zipped = zip(header.encoded_matrix, header.encoded_fov_mm, header.recon_fov_mm, strict=True)
        z, y, x = (
            (n, fov) if recon >= fov else (round(n * recon / fov), fov / n * round(n * recon / fov))
            for n, fov, recon in zipped
        )
        return (z[0], y[0], x[0]), (z[1], y[1], x[1])

    def _flush(self) -> None:
        if not self._batch:
            return
        assert self._assembly is not None  # noqa: S101 - made with the first readout
        coils, samples, center, before, after, reverse = _kind(self._batch[0].head)
        if coils != self._assembly.data.shape[1]:
            raise QsmError(
                f"a readout has {coils} coils, the first one {self._assembly.data.shape[1]}; "
                "send the scan with one coil selection"
            )
        heads = np.array([readout.head for readout in self._batch])
        data = np.stack([readout.data for readout in self._batch])
        self._batch = []
        self._reversed |= reverse
        place = (heads["idx"]["contrast"].astype(int), self._at(heads, 2), self._at(heads, 1))
        try:
            self._assembly.add(
                data[:, :, before : samples - after],
                place,
                center_sample=center - before,
                reverse=reverse,
            )
        except ValueError as error:
            raise QsmError(f"the raw data does not fit its header: {error}") from error
        for counter in ONE_VOLUME:
            if heads["idx"][counter].any():
                raise QsmError(
                    f"the scan has more than one {counter}; only single volumes are supported"
                )

    def _at(self, heads: np.ndarray, step: int) -> np.ndarray:
        """Index of the lines in the matrix, along encoding step 1 or 2."""
        size = self._header.encoded_matrix[2 - step]
        index = heads["idx"][f"kspace_encode_step_{step}"].astype(int)
        return index - self._limit(step).center + size // 2

    def _limit(self, step: int) -> Limit:
        size = self._header.encoded_matrix[2 - step]
        name = f"kspace_encode_step_{step}"
        return self._header.limits.get(name, Limit(0, size - 1, size // 2))

    def _check_complete(self, came: np.ndarray) -> list[str]:
        """Compare what came (echo, kz, ky) with the header's limits; return warnings."""
        rectangle = np.zeros(came.shape[1:], bool)
        window = []
        for step in (2, 1):
            limit, size = self._limit(step), self._header.encoded_matrix[2 - step]
            start = limit.minimum - limit.center + size // 2
            window.append(slice(max(start, 0), start + limit.maximum - limit.minimum + 1))
        rectangle[tuple(window)] = True
        warnings = []
        missing = rectangle & ~came
        if missing.any():
            text = self._describe_missing(missing, int(rectangle.sum()) * len(came))
            if self._settings.incomplete == "refuse":
                raise QsmError(text)
            warnings.append(text)
        if not rectangle.all():
            warnings.append("partial Fourier: what was not sampled was filled with zeros")
        return warnings

    def _describe_missing(self, missing: np.ndarray, total: int) -> str:
        count = int(missing.sum())
        factors = _acceleration(self._header)
        if max(factors) > 1:
            return (
                f"the scan is undersampled ({factors[0]} x {factors[1]}): {count} of {total} lines "
                "are left out; send it fully sampled, or as complex images that the scanner's "
                "parallel imaging made"
            )
        echo, kz, ky = (int(i) for i in np.argwhere(missing)[0])
        return (
            f"{count} of {total} lines are missing, the first in echo {echo + 1}, "
            f"partition {kz}, line {ky}: the scan was cut short; send it again, or set "
            "kspace.incomplete=warn"
        )


def _fingerprint(head: Record) -> dict[str, int | str]:
    """Return what tells this scan from another with the same header."""
    return {
        "method": "readouts",
        "measurement_uid": int(head["measurement_uid"]),
        "first_time_stamp": int(head["acquisition_time_stamp"]),
    }


def _kind(head: Record) -> tuple[int, int, int, int, int, bool]:
    """Return what lines of one batch share: coils, samples, centre, discards, direction."""
    return (
        int(head["active_channels"]),
        int(head["number_of_samples"]),
        int(head["center_sample"]),
        int(head["discard_pre"]),
        int(head["discard_post"]),
        bool(int(head["flags"]) & REVERSE),
    )


def _acceleration(header: Header) -> tuple[int, int]:
    imaging = header.document.encoding[0].parallelImaging
    if imaging is None or imaging.accelerationFactor is None:
        return 1, 1
    factor = imaging.accelerationFactor
    return int(factor.kspace_encoding_step_1), int(factor.kspace_encoding_step_2)
