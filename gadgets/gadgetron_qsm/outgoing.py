"""Where a scan's maps go besides the console: a folder, archives, a report."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.delivery.deliver import Delivery, opened
from gadgetron_qsm.dicom.files import save
from gadgetron_qsm.dicom.identity import scan_name
from gadgetron_qsm.dicom.identity_rules import completions
from gadgetron_qsm.dicom.kinds import IN_HERTZ, in_hertz
from gadgetron_qsm.dicom.of_scan import ScanObjects
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.report.record import Record
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import scans
from gadgetron_qsm.site.privacy import line_of

if TYPE_CHECKING:
    from gadgetron_qsm.measurement.run import Measurement

log = logging.getLogger(__name__)

STATES = {
    "waiting": "wait for",
    "sent": "are stored, but not yet promised to be kept, at",
    "dead": "were refused by",
}
PENDING = 8  # maps that may wait to be written: the memory that a slow disk costs


def send_what_waits(settings: StoreSettings, timeout_s: float) -> str | None:
    """Send what waits in the outbox, once, for a process that ends; say in a line what still does.

    The next process that uses the outbox, or 'gadgetron-qsm outbox send', sends the rest.
    """
    try:
        delivery = opened(settings)
        left = delivery.flush(timeout_s) if delivery else []
    except QsmError as error:
        return str(error)
    told = [
        f"{line.objects} objects {STATES[line.state]} '{line.node}': {line.error}" for line in left
    ]
    return "; ".join(told) or None


class Outgoing:
    """What leaves of one scan.

    DICOM objects are made, written and put in the outbox by a thread, map after map: the console
    does not wait for them. A place that cannot be written does not keep the maps from the others
    and from the console: `finish` tells of it when all is done. An outbox that cannot be used is
    logged at the start, once, while somebody may still see to it.
    """

    def __init__(
        self,
        header: Header,
        settings: Settings,
        *,
        folder: Path | None = None,
        measured: Path | None = None,
        record: Record | None = None,
        images: bool = True,
    ) -> None:
        """`folder` is where series go, else in deliver.dicom_folder, where each scan has its own.

        So is `measured` for what is measured, else in measure.folder. `record` notes what is
        delivered, for a report that is the caller's; else there is one for deliver.report_folder.
        Without `images` what is measured leaves alone: another process keeps the maps' images.
        """
        self._header, self._settings, self._folder = header, settings, folder
        self._record = record
        if record is None and settings.deliver.report_folder:
            self._record = Record(header)
        self._objects, self._images = ScanObjects(header, settings), images
        self._names: dict[int, str] = {}  # of the folders of repetitions
        self._valid: tuple[int, NDArray[np.bool_]] = -1, np.zeros(0, bool)  # of a repetition
        self._worker = ThreadPoolExecutor(1, "outgoing")
        self._room = BoundedSemaphore(PENDING)
        self._failures: list[QsmError] = []
        self._delivery: Delivery | None = None
        with self._sparing("the outbox"):  # without it the other places go on
            self._delivery = opened(settings.store)
        self._measurement: Measurement | None = None
        if settings.measure.asked:
            with self._sparing("the measurement"):
                from gadgetron_qsm.measurement.run import Measurement  # SimpleITK takes a while

                self._measurement = Measurement(header, settings, measured)
        told = completions(Header.parse(header.text), header)
        how = "completed by settings" if "completed" in told else "as the header says"
        self._identity = {"identity": {"method": how, **told}} if told else {}

    def seen(self, volume: Map) -> Map:
        """Note a map, delivered or not; return it in the unit, and with the words, it leaves in."""
        volume = self._with_reach(replace(volume, data=to_numpy(volume.data)))
        if self._record:
            self._record.see(volume)
        hertz = self._settings.deliver.field_unit == "Hz" and volume.name in IN_HERTZ
        if hertz and volume.unit != "Hz":  # a server may have sent it so
            volume = in_hertz(volume, self._header.larmor_hz)
        provenance = {**volume.report.get("provenance", {}), **self._identity}
        return replace(volume, report={**volume.report, "provenance": provenance})

    def _with_reach(self, volume: Map) -> Map:
        """Return a field with the largest value that it has where chi, which came before, is valid.

        Beyond the mask a field is noise, which pixels of few bits need not hold.
        """
        if volume.name == "chi":
            self._valid = volume.repetition, volume.data != 0
        repetition, valid = self._valid
        if volume.name not in IN_HERTZ or repetition != volume.repetition or not valid.any():
            return volume
        values = volume.data[valid]
        reach = np.max(np.abs(values), where=np.isfinite(values), initial=0)
        return replace(volume, reach=float(reach))

    def objects(self, volume: Map) -> Future[list[Dataset]]:
        """Have the DICOM objects made that a map gives rise to, and kept where settings say.

        Returns them to be: those that could be made, none when neither a place nor the console
        wants them. Maps are to come in the order that ScanObjects wants.
        """
        self._room.acquire()  # the thread gives it back
        return self._worker.submit(copy_context().run, self._kept, volume)

    def abandon(self) -> None:
        """Make no more objects than those of the map that is being written."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def settle(self) -> None:
        """Wait until the objects of all maps are where they go, or could not."""
        self._worker.shutdown(wait=True)

    def measure(self) -> list[Dataset]:
        """Measure each repetition, once, when its maps are where they go; return the objects of it.

        They are kept as the maps' are. What cannot be measured is told by `finish`.
        """
        self.settle()
        made: list[Dataset] = []
        measured = self._measurement.waiting if self._measurement else set()
        for repetition in sorted(measured | self._objects.waiting):
            found: Measured | None = None
            with self._sparing("the measurement"):
                found = self._measured(repetition)
            made += self._left(repetition, found)
        return made

    def _left(self, repetition: int, found: Measured | None = None) -> list[Dataset]:
        """Make and keep the objects of a repetition's regions, and what else was measured in it."""
        made: list[Dataset] = []
        for make in self._of_measured(repetition, found) if self._leave else ():
            with self._sparing("DICOM objects of the measurement"):
                objects = list(make)
                self._keep(objects, self._names[repetition])
                made += objects
        return made

    def _leave_unmeasured(self) -> None:
        """Leave the regions that the maps themselves have, of a scan that failed on its way."""
        for repetition in sorted(self._objects.waiting):
            self._left(repetition)
        if self._measurement and (waiting := self._measurement.waiting):
            numbers = ", ".join(str(repetition + 1) for repetition in sorted(waiting))
            log.warning("the scan failed: nothing was measured in repetition %s", numbers)

    def _measured(self, repetition: int) -> Measured | None:
        """Measure a repetition and note what came of it."""
        if not self._measurement:
            return None
        try:
            found = self._measurement.of(repetition)
        except QsmError as error:  # whoever reads the report is to know
            if self._record:
                self._record.measured(Measured(repetition, None, {"failures": [str(error)]}))
            raise
        self._failures += found.failures
        if self._record:
            self._record.measured(found)
        return found

    def _of_measured(self, repetition: int, found: Measured | None) -> Iterator[Iterable[Dataset]]:
        """Give what makes the objects of a measurement, a series or two at a time."""
        yield self._objects.outlined(repetition, found.regions if found else ())
        if found and found.on_anatomy:
            yield self._objects.on_anatomy(*found.on_anatomy)

    def finish(self, failure: Exception | None = None) -> None:
        """Settle, measure, and leave the report; raise the first QsmError of what failed, if any.

        With the `failure` that ended the scan nothing is measured, and this raises nothing.
        """
        self.settle()
        if failure is not None:
            self._leave_unmeasured()
        else:
            self.measure()
            with self._sparing("DICOM objects of regions"):
                self._objects.require_regions()
        folder, record = self._settings.deliver.report_folder, self._record
        if folder and record and record.maps:
            with self._sparing("the report"):
                self._report(folder, record, failure)
        if self._failures and failure is None:
            raise self._failures[0]

    def _kept(self, volume: Map) -> list[Dataset]:
        made: list[Dataset] = []
        self._names[volume.repetition] = name = scan_name(volume, self._header)
        try:
            if self._measurement:
                with self._sparing("the measurement"):
                    self._measurement.see(volume)
            if self._leave:
                for make in (self._objects.images, self._objects.of_regions):
                    with self._sparing(f"DICOM objects of map '{volume.name}'"):
                        made += list(make(volume))  # a whole series or none of it
            if not self._images:
                made = []
            files = self._keep(made, name)
            if self._record and volume.name in self._settings.deliver.maps:
                self._record.delivered(volume, files, self._root)
        finally:
            self._room.release()
        return made

    @property
    def _root(self) -> Path | None:
        """The folder that files are named from."""
        return self._folder.parent if self._folder else self._settings.deliver.dicom_folder

    @property
    def _leave(self) -> bool:
        """Whether DICOM objects go anywhere."""
        console = self._settings.deliver.console
        return bool(self._root or self._settings.store.nodes or console != "images")

    def _keep(self, made: Sequence[Dataset], name: str) -> list[Path]:
        """Keep objects in the folder and for the archives; one that fails costs not the other."""
        files: list[Path] = []
        with self._sparing("DICOM files"):
            files = self._written(made, name)
        with self._sparing("the outbox"):
            self._put(made)
        return files

    def _written(self, made: Sequence[Dataset], name: str) -> list[Path]:
        """Write objects of a scan of that name; return the files of the first one's series."""
        folder = self._folder
        if not made or not self._root:
            return []
        if folder is None:
            folder = self._root / name
        files = [save(dataset, folder) for dataset in made]
        scans.took("deliver.dicom_folder", len(files))
        return [file for file in files if file.parent == files[0].parent]

    def _put(self, made: Sequence[Dataset]) -> None:
        """Keep objects for the archives, in the outbox that settings name."""
        if made and self._delivery:
            scans.took("store.outbox", self._delivery.put(made))

    def _report(self, folder: Path, record: Record, failure: Exception | None) -> None:
        from gadgetron_qsm.report.run import write_run  # matplotlib takes a while

        name = next(iter(self._names.values()))
        write_run(folder / name, record, settings=self._settings, failure=failure)

    @contextmanager
    def _sparing(self, what: str) -> Iterator[None]:
        """Log what went wrong, in a line, and go on."""
        try:
            yield
        except QsmError as error:
            log.error("%s", error)
            self._failures.append(error)
        except Exception as error:  # a fault of ours must not cost what is well
            log.exception("%s failed", what)
            self._failures.append(QsmError(f"{what} failed: {line_of(error)}"))
