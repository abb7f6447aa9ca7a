"""Readouts in batches: transformed along x, whitened, compressed, placed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from gadgetron_qsm.arrays import Array, on_device
from gadgetron_qsm.arrays.feed import Feed
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.calibration import Calibration
from gadgetron_qsm.ingest.kinds import REVERSE, Kind
from gadgetron_qsm.ingest.readouts import Extent, Sampling, extent, misfit, whole_readout
from gadgetron_qsm.ingest.volume import Volume, counters
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.assemble import Place
from gadgetron_qsm.kspace.coil_stream import CoilStream, most_kept
from gadgetron_qsm.kspace.readout import HOST, transform_readouts
from gadgetron_qsm.mrd.header import Header, fingerprint
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition, Record
from gadgetron_qsm.settings import KSpaceSettings

BATCH_BYTES = 8_000_000  # of readouts that are transformed and placed together, whole ones
MOST_BATCHES = 64  # that wait to be full: scans have readouts of few kinds
CENTRAL = 12  # lines from k = 0, along ky and kz, in which virtual coils are found


class _Alike(NamedTuple):
    """What readouts of one batch share."""

    kind: Kind
    sampling: Sampling


_Tag = tuple[_Alike, Extent, np.ndarray, Place]


class Intake:
    """Readouts of the image and of its calibration, on their way into arrays."""

    def __init__(
        self,
        header: Header,
        settings: KSpaceSettings,
        coils: int,
        whitening: Array | None,
        *,
        feed: Feed | None = None,
    ) -> None:
        """`coils` is what readouts have; whitening (coil, coil); feed: to where the arrays are,
        None for the host. Raises QsmError for settings that do not go with them.
        """
        self._header, self._settings, self._feed = header, settings, feed or HOST
        self._calibration = Calibration()
        self._batches: dict[_Alike, list[Acquisition]] = {}
        self._volume: Volume | None = None
        self._scan: dict[str, int | str] = {}
        self._whitened = whitening is not None
        self._whole_bytes = 8 * coils * header.encoded_matrix[2]  # that any readout is filled up to
        try:
            self._coils: CoilStream[_Tag] = CoilStream(
                coils,
                whitening=whitening,
                method=_compression(settings, flat=header.slices is not None),
                virtual_coils=settings.virtual_coils,
                kept_energy=settings.kept_energy,
            )
        except ValueError as error:
            raise QsmError(f"kspace.virtual_coils: {error}") from error

    def add(self, kind: Kind, readout: Acquisition) -> None:
        """Take one readout, of the image or of its calibration."""
        if kind is Kind.IMAGE and not self._scan:
            self._scan = fingerprint(readout.head, "readouts", readout.data)
        coils = len(readout.data)
        if coils != self._coils.received or not coils:
            raise QsmError(
                f"a readout has {coils} coils, the first one {self._coils.received}; "
                "send the scan with one coil selection"
            )
        alike = self._alike(kind, readout.head)
        batch = self._batches.setdefault(alike, [])
        batch.append(readout)
        if len(batch) * max(readout.data.nbytes, self._whole_bytes) >= BATCH_BYTES:
            self._flush(alike)
        elif len(self._batches) > MOST_BATCHES:
            self._flush(next(iter(self._batches)))

    def finish(self) -> CoilImages:
        """End a repetition, of which a readout came; raise QsmError when it is incomplete."""
        for alike in list(self._batches):
            self._flush(alike)
        self._place(self._coils.end())
        volume, self._volume = self._volume, None
        if volume is None:
            raise QsmError("the repetition has no readout of the image")
        return volume.finish()

    def _alike(self, kind: Kind, head: Record) -> _Alike:
        reverse = bool(int(head["flags"]) & REVERSE)
        if self._settings.reversed_echoes != "flagged":
            second = head["idx"]["contrast"] % 2 == 1
            reverse = bool(second == (self._settings.reversed_echoes == "even"))
        sampling = Sampling(
            int(head["number_of_samples"]),
            int(head["center_sample"]),
            (int(head["discard_pre"]), int(head["discard_post"])),
            reverse,
            int(head["encoding_space_ref"]),
        )
        return _Alike(kind, sampling)

    def _flush(self, alike: _Alike) -> None:
        readouts = self._batches.pop(alike)
        heads = np.empty(len(readouts), ACQUISITION_HEADER)
        for index, readout in enumerate(readouts):  # np.array would promote 33 fields each time
            heads[index] = readout.head
        place = counters(heads, self._header)
        _, kz, ky = place
        central = int(((np.abs(kz) < CENTRAL) & (np.abs(ky) < CENTRAL)).sum())
        lines, reach = self._transformed([readout.data for readout in readouts], alike.sampling)
        acquired = min(1.0, reach[1] - reach[0])
        self._place(self._coils.add(lines, (alike, reach, heads, place), central, acquired))

    def _transformed(self, readouts: list[np.ndarray], sampling: Sampling) -> tuple[Array, Extent]:
        """Return lines (line, coil, x), and the extent of their readouts (see Volume.add)."""
        encoded, kept = whole_readout(self._header, sampling)
        try:
            lines = transform_readouts(
                readouts,
                encoded,
                kept,
                center_sample=sampling.center,
                discard=sampling.discard,
                reverse=sampling.reverse,
                feed=self._feed,
            )
        except ValueError as error:
            raise misfit(error) from error
        return lines, extent(sampling, encoded)

    def _place(self, ready: Iterable[tuple[Array, _Tag]]) -> None:
        for lines, (alike, reach, heads, place) in _compressed(ready):
            if alike.kind is Kind.CALIBRATION:
                self._calibration.add(lines, place, heads["idx"]["slice"].astype(int))
            else:
                if self._volume is None:  # not before: now the number of virtual coils is known
                    self._volume = self._new_volume(lines)
                reverse = alike.sampling.reverse
                self._volume.add(lines, heads, place, extent=reach, reverse=reverse)

    def _new_volume(self, lines: Array) -> Volume:
        journal = Journal()
        journal.provenance["scan"] = self._scan
        journal.provenance["kspace"] = {
            "method": "centred FFT",
            "noise_whitened": self._whitened,
            **self._coils.described(),
        }
        if self._settings.reversed_echoes != "flagged":
            journal.provenance["kspace"]["reversed_echoes"] = self._settings.reversed_echoes
        known = self._header, self._settings, lines.shape[1], journal, self._calibration
        try:
            return Volume(*known, like=lines)
        except MemoryError:
            if not on_device(lines):
                raise
        journal.warn("the device has too little free memory: k-space was kept on the host")
        return Volume(*known)


def most_virtual_coils(coils: int, settings: KSpaceSettings, *, flat: bool) -> int:
    """How many coils are left of `coils` at most; `flat`: of a scan of slices."""
    return most_kept(coils, _compression(settings, flat=flat), settings.virtual_coils)


def _compression(settings: KSpaceSettings, *, flat: bool) -> str:
    return "none" if flat else settings.compression


def _compressed(ready: Iterable[tuple[Array, _Tag]]) -> Iterator[tuple[Array, _Tag]]:
    try:
        yield from ready
    except ValueError as error:
        raise QsmError(f"{error}; set kspace.compression=none") from error
