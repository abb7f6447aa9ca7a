"""The noise scan: what whitens the receivers that the image was taken with."""

from __future__ import annotations

import math

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.prewhiten import noise_covariance, silent_receivers, whitening_matrix
from gadgetron_qsm.mrd.messages import Acquisition, Record

ENOUGH_BYTES = 256 << 20  # of noise: 128 coils have 2000 readouts of 128 samples then
NO_NOISE = "no noise readouts before the image: all coils' noise was taken as equal, white"


class Noise:
    """Noise readouts as they come.

    `silent` are the numbers of the image's receivers that turned out to have no noise.
    """

    def __init__(self) -> None:
        self.silent: list[int] = []
        self._readouts: list[Acquisition] = []
        self._bytes = 0

    def add(self, readout: Acquisition) -> None:
        """Take one noise readout; pass over those behind enough of them."""
        if self._bytes < ENOUGH_BYTES:
            self._readouts.append(readout)
            self._bytes += readout.data.nbytes

    def whitening(self, image: Record) -> np.ndarray | None:
        """Whitening matrix (coil, coil) for readouts like `image`; None without a noise scan.

        The noise scan may have more receivers than the image: the channel masks tell which. Its
        variance is scaled by the bandwidths of the two (their sample times).
        Raises QsmError when it cannot be used.
        """
        if not self._readouts:
            return None
        head = self._readouts[0].head
        if any(len(readout.data) != len(self._readouts[0].data) for readout in self._readouts):
            raise QsmError(
                "the noise readouts differ in their number of coils; send one noise scan"
            )
        try:
            covariance = noise_covariance(np.concatenate([r.data for r in self._readouts], axis=1))
            rows = _receivers(head, image)
            covariance = covariance[np.ix_(rows, rows)] * _bandwidth_ratio(head, image)
            return self._whitening(covariance)
        except ValueError as error:
            raise QsmError(
                f"the noise readouts cannot be used: {error}; send those of the same coils, or none"
            ) from error

    def _whitening(self, covariance: np.ndarray) -> np.ndarray:
        """Whitening of the receivers that have noise; of the others it makes nothing."""
        self.silent = silent_receivers(covariance)
        live = np.setdiff1d(np.arange(len(covariance)), self.silent)
        if not len(live):
            raise ValueError("they have no noise")
        whitening = np.zeros(covariance.shape, np.complex64)
        whitening[np.ix_(live, live)] = whitening_matrix(covariance[np.ix_(live, live)])
        return whitening


def _bandwidth_ratio(noise: Record, image: Record) -> float:
    times = float(noise["sample_time_us"]), float(image["sample_time_us"])
    return times[0] / times[1] if all(0 < time < math.inf for time in times) else 1.0


def _receivers(noise: Record, image: Record) -> list[int]:
    """Rows of the noise scan's data that are the receivers of the image, in its order."""
    coils = int(image["active_channels"])
    ours, theirs = _channels(image), _channels(noise)
    known = len(ours) == coils and len(theirs) == int(noise["active_channels"])
    if known and set(ours) <= set(theirs):
        return [theirs.index(channel) for channel in ours]
    if int(noise["active_channels"]) == coils:
        return list(range(coils))
    raise ValueError(
        f"they have {noise['active_channels']} coils and the image has {coils}, and the channel "
        "masks do not tell which"
    )


def _channels(head: Record) -> list[int]:
    """Numbers of the receivers, from the bits of the channel mask."""
    bits = np.unpackbits(
        np.ascontiguousarray(head["channel_mask"], "<u8").view(np.uint8), bitorder="little"
    )
    channels: list[int] = np.flatnonzero(bits).tolist()
    return channels
