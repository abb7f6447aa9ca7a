"""Readouts of a scan, sorted by their flags and counters, to coil images of its repetitions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from gadgetron_qsm.arrays.feed import Feed, HostFeed
from gadgetron_qsm.arrays.places import Host, Place
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.intake import Intake, most_virtual_coils
from gadgetron_qsm.ingest.kinds import Kind, kind_of
from gadgetron_qsm.ingest.memory import needed_on_device
from gadgetron_qsm.ingest.noise import NO_NOISE, Noise
from gadgetron_qsm.ingest.volume import kspace_shape
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition, Record
from gadgetron_qsm.settings import KSpaceSettings

log = logging.getLogger(__name__)

ONE_VOLUME = ("phase", "set")


class Lines:
    """Readouts on their way to coil images, one volume a repetition."""

    def __init__(
        self, header: Header, settings: KSpaceSettings, place: Place | None = None
    ) -> None:
        """place: where arrays are, if the scan fits there; the host by default."""
        self._header, self._settings, self._place = header, settings, place or Host()
        self._noise = Noise()
        self._intake: Intake | None = None
        self._repetition: int | None = None
        self._ended: set[int] = set()
        self._warnings: list[str] = []

    @property
    def started(self) -> bool:
        """Whether a readout of the image has come."""
        return self._repetition is not None

    def add(self, readout: Acquisition) -> Iterator[CoilImages]:
        """Take one readout; gives the repetition before, when this one is of the next.

        Raises QsmError for a readout that does not belong to the scan.
        """
        kind = kind_of(readout.head, self._header)
        if kind is Kind.NOISE:
            self._noise.add(readout)
        elif kind is Kind.ASIDE:
            self._set_aside(readout.head)
        else:
            self._check(readout.head)
            if kind is Kind.IMAGE and self._repetition != readout.head["idx"]["repetition"]:
                if self.started:
                    yield self._finish()
                self._begin(int(readout.head["idx"]["repetition"]))
            if self._intake is None:
                self._intake = self._start(readout.head)
            self._intake.add(kind, readout)

    def end(self) -> Iterator[CoilImages]:
        """Give the last repetition; raise QsmError behind it when others never came."""
        yield self._last()  # of which nothing is held here: its receiver may need the room
        refuse_or_warn(missing_repetitions(len(self._ended), self._header), self._settings)

    def _last(self) -> CoilImages:
        images = self._finish()
        if self._settings.incomplete == "refuse":
            return images
        return _warned(images, missing_repetitions(len(self._ended), self._header))

    def _finish(self) -> CoilImages:
        """End the repetition under way; raise QsmError when there is none, or it is incomplete."""
        if self._intake is None or self._repetition is None:
            raise QsmError("the stream ended without a readout or image of the scan")
        self._ended.add(self._repetition)
        try:
            images = self._intake.finish()
        except QsmError as error:
            which = f"repetition {self._repetition + 1}: " if self._repetition else ""
            raise QsmError(f"{which}{error}") from error
        return _warned(images, self._warnings)

    def _begin(self, repetition: int) -> None:
        if repetition in self._ended:
            raise QsmError(
                f"lines of repetition {repetition + 1} came after those of another one; "
                "send the repetitions one after the other"
            )
        self._repetition = repetition

    def _set_aside(self, head: Record) -> None:
        space = int(head["encoding_space_ref"])
        text = f"readouts of encoding space {space} were set aside"
        if space and text not in self._warnings:
            self._warn(text)

    def _warn(self, text: str) -> None:
        """Note what the reader of the maps must know, and log it, as Journal.warn does."""
        self._warnings.append(text)
        log.warning("%s", text)

    def _start(self, head: Record) -> Intake:
        whitening = self._noise.whitening(head)
        if whitening is None:
            self._warn(NO_NOISE)
        if self._noise.silent:
            self._warn(
                f"receivers {self._noise.silent} have no noise: taken as not connected and left out"
            )
        coils = int(head["active_channels"])
        return Intake(self._header, self._settings, coils, whitening, feed=self._feed(coils))

    def _feed(self, coils: int) -> Feed:
        """Return what takes readouts of some coils to where their lines have room."""
        kept = most_virtual_coils(coils, self._settings, flat=self._header.slices is not None)
        needed = needed_on_device(kspace_shape(self._header, kept))
        place, free = self._place, self._place.free_bytes()
        if place.on_device:
            log.info("%s: k-space needs %.1f of %.1f GB", place.name, needed / 1e9, free / 1e9)
        if needed <= free:
            return place.feed()
        self._warn(
            f"k-space needs {needed / 1e9:.1f} GB, more than {place.name} has free: it was kept on "
            "the host"
        )
        return HostFeed()

    def _check(self, head: Record) -> None:
        for counter in ONE_VOLUME:
            if head["idx"][counter]:
                raise QsmError(f"the scan has several of {counter}; send a single one")
        number, slices = int(head["idx"]["slice"]), self._header.slices
        if slices is None and number:
            raise QsmError("the 3D scan has several slabs; send one slab at a time")
        if slices is not None and number >= slices:
            raise QsmError(
                f"a readout is of slice {number + 1}, but the MRD header announces {slices}; "
                "correct its encodingLimits"
            )


def missing_repetitions(came: int, header: Header) -> list[str]:
    """Say how many of the repetitions that the header announces are missing, if any."""
    announced = header.repetitions
    if came >= announced:
        return []
    return [f"{announced - came} of {announced} repetitions are missing: the scan was cut short"]


def refuse_or_warn(missing: list[str], settings: KSpaceSettings) -> None:
    """Log what is missing of a stream that has ended; raise QsmError when that is refused."""
    for text in missing:
        if settings.incomplete == "refuse":
            raise QsmError(f"{text}; send it again, or set kspace.incomplete=warn")
        log.warning("%s", text)


def _warned(images: CoilImages, warnings: list[str]) -> CoilImages:
    """Images with more warnings in front of those that they have."""
    warnings = [*warnings, *images.report["warnings"]]
    return replace(images, report={**images.report, "warnings": warnings})
