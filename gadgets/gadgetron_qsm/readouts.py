"""Readouts of one volume, sorted by their flags and counters, to coil images."""

from __future__ import annotations

import logging
from typing import Any

import ismrmrd
import numpy as np

from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.prewhiten import noise_covariance, whitening_matrix
from gadgetron_qsm.kspace.sampling import describe_missing, encoded_rectangle, is_whole_lattice
from gadgetron_qsm.mrd.header import Header, fingerprint
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition, Record
from gadgetron_qsm.settings import KSpaceSettings

log = logging.getLogger(__name__)

BATCH = 256  # readouts that are transformed and placed together
ONE_VOLUME = ("slice", "phase", "repetition", "set")
BIPOLAR = "bipolar readouts: the eddy currents' phase between echoes is not corrected"


def _flags(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


NOISE = _flags(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
REVERSE = _flags(ismrmrd.ACQ_IS_REVERSE)
CALIBRATION = _flags(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
CALIBRATION_AND_IMAGING = _flags(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
NOT_IMAGING = _flags(
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    30,  # phase stabilisation reference, and
    31,  # phase stabilisation: nameless in older ismrmrd
)


def is_calibration_alone(readout: Acquisition) -> bool:
    """Tell whether a line was acquired for parallel imaging's calibration and not for the image."""
    flags = int(readout.head["flags"])
    return bool(flags & CALIBRATION) and not flags & CALIBRATION_AND_IMAGING


class Readouts:
    """Readouts on their way into an Assembly, in batches of lines of one kind."""

    def __init__(self, header: Header, settings: KSpaceSettings) -> None:
        self._header = header
        self._settings = settings
        self._noise: list[np.ndarray] = []
        self._batch: list[Acquisition] = []
        self._first: Record = None
        self._assembly: Assembly | None = None
        self._warnings: list[str] = []

    @property
    def started(self) -> bool:
        """Whether a readout of the image has come."""
        return self._first is not None

    def add(self, readout: Acquisition) -> None:
        """Take one readout; its flags tell noise, the image, and what is no part of it.

        Lines for calibration alone belong to the image too where they are embedded in the scan.
        """
        flags = int(readout.head["flags"])
        if flags & NOISE:
            self._noise.append(readout.data)
            return
        apart = is_calibration_alone(readout) and self._header.calibration_apart
        if flags & NOT_IMAGING or apart:
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
        provenance: dict[str, Any] = {
            "method": "centred FFT",
            "noise_whitened": self._assembly.whitened,
        }
        came = np.greater(self._assembly.count, 0)
        hybrid = self._assembly.finish()
        missing = self._announced() & ~came
        if missing.any():
            self._complete(hybrid, came, missing, provenance)
        if not self._assembly.whitened:
            self._warnings.append(
                "no noise readouts before the image: all coils' noise was taken as equal, white"
            )
        matrix, fov_mm = self._header.native_volume
        data = hybrid[:, :, : matrix[0], : matrix[1]]  # in place: there may be room for one only
        for echo, volume in enumerate(hybrid):
            image = centred_ifft(volume, axes=[1, 2])
            data[echo] = crop_centre(crop_centre(image, matrix[0], axis=1), matrix[1], axis=2)
        return CoilImages(
            data=data,
            geometry=self._header.geometry(self._first, matrix, fov_mm),
            report={
                "provenance": {"scan": fingerprint(self._first, "readouts"), "kspace": provenance},
                "warnings": self._warnings,
            },
        )

    def _start(self, readout: Acquisition) -> Assembly:
        coils, samples = readout.data.shape
        nz, ny, nx = self._header.encoded_matrix
        kept = self._header.native_volume[0][2]
        center = int(readout.head["center_sample"])
        if max(center, samples - center) <= (kept + 1) // 2:
            nx = kept  # somebody before us has taken off the oversampling
        echoes = len(self._header.echo_times_s)
        log.info(
            "%d echoes, %d coils, %d partitions x %d lines x %d samples: %.0f MB",
            *(echoes, coils, nz, ny, kept, echoes * coils * nz * ny * kept * 8e-6),
        )
        return Assembly(echoes, coils, (nz, ny, nx), kept, whitening=self._whitening())

    def _whitening(self) -> np.ndarray | None:
        if not self._noise:
            return None
        try:
            return whitening_matrix(noise_covariance(np.concatenate(self._noise, axis=1)))
        except ValueError as error:
            raise QsmError(f"the noise readouts cannot be used: {error}") from error

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
        heads = np.empty(len(self._batch), ACQUISITION_HEADER)
        for index, readout in enumerate(self._batch):  # np.array would promote 33 fields each time
            heads[index] = readout.head
        data = np.stack([readout.data for readout in self._batch])
        self._batch = []
        for counter in ONE_VOLUME:
            if heads["idx"][counter].any():
                raise QsmError(f"the scan has several of {counter}; send a single volume")
        if reverse and BIPOLAR not in self._warnings:
            self._warnings.append(BIPOLAR)
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

    def _at(self, heads: np.ndarray, step: int) -> np.ndarray:
        """Index of the lines in the matrix, along encoding step 1 or 2."""
        counter = f"kspace_encode_step_{step}"
        size = self._header.encoded_matrix[2 - step]
        return heads["idx"][counter].astype(int) - self._header.limit(counter).center + size // 2

    def _announced(self) -> np.ndarray:
        limits = (self._header.limit(f"kspace_encode_step_{step}") for step in (2, 1))
        announced = encoded_rectangle(
            self._header.encoded_matrix[:2],
            tuple((limit.minimum, limit.maximum, limit.center) for limit in limits),
        )
        if not announced.all():
            self._warnings.append("partial Fourier: lines that were not acquired are zero")
        return announced

    def _complete(
        self, hybrid: np.ndarray, came: np.ndarray, missing: np.ndarray, provenance: dict[str, Any]
    ) -> None:
        """Fill the lines that were left out on purpose; refuse, or warn of, others."""
        acceleration = self._header.acceleration
        announced = np.any(missing | came, axis=0)
        if acceleration != (1, 1) and is_whole_lattice(came, announced, acceleration):
            if (came != came[0]).any():
                raise QsmError("the echoes were sampled on different lines; that is not supported")
            provenance["parallel_imaging"] = f"GRAPPA {acceleration[1]} x {acceleration[0]}"
            for echo, volume in enumerate(hybrid):
                hybrid[echo] = centred_fft(volume, axes=[3])
            try:
                grappa(hybrid, came[0], missing[0], acceleration)
            except ValueError as error:
                raise QsmError(f"parallel imaging: {error}") from error
            for echo, volume in enumerate(hybrid):
                hybrid[echo] = centred_ifft(volume, axes=[3])
            return
        if acceleration == (1, 1):
            text = describe_missing(missing, came.shape[0] * int(announced.sum()))
        else:
            factors = f"{acceleration[1]} x {acceleration[0]}"
            text = f"lines are missing from the {factors} lattice: the scan was cut short"
        if self._settings.incomplete == "refuse":
            raise QsmError(f"{text}; send it again, or set kspace.incomplete=warn")
        self._warnings.append(text)


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
