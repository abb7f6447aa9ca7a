"""Replay: a raw file through the chain over a real socket; what it gives goes into a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from gadgetron_qsm import configs
from gadgetron_qsm.bids.apart import apart
from gadgetron_qsm.bids.dataset import require_dataset
from gadgetron_qsm.bids.kinds import needed
from gadgetron_qsm.bids.place import Place, require_free
from gadgetron_qsm.bids.scan import write_scan
from gadgetron_qsm.data import Map
from gadgetron_qsm.delivery.deliver import nodes_of, opened
from gadgetron_qsm.dicom.files import save
from gadgetron_qsm.dicom.identity_rules import completed
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.exchange import Address, Came, exchanged, served
from gadgetron_qsm.measure.folder import ABOUT, FOLDER
from gadgetron_qsm.mrd.anonymous import anonymous_header, anonymous_image
from gadgetron_qsm.mrd.client import Progress
from gadgetron_qsm.mrd.files import write_images
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import own_meta
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, DicomFile, Image
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.mrd.raw import opened as opened_raw
from gadgetron_qsm.mrd.siemens import readable
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.outgoing import Outgoing, send_what_waits
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.precedence import of_the_machine
from gadgetron_qsm.processors import processors
from gadgetron_qsm.report.accuracy import compare
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.record import REPORTED, Record
from gadgetron_qsm.report.run import write_run
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.wanted import wanted

IMAGES = "images.h5"
OURS = re.compile(r"\d{5,}_\w+/\d{4}\.dcm")  # numbers that no scanner gives
LONGEST_S = 3600.0  # that archives may take
OF_MAPS = ("measure.noise_samples",)  # one of those below that is


@dataclass(frozen=True)
class Replayed:
    """What became of a replay: the maps, how chi compares with the truth, who has the objects.

    `maps` are SHA-256 of the voxels that came back, by name, repetition and echo ("chi 1",
    "magnitude 1 2"), both from 1; `accuracy` is that of report.accuracy.compare, None without the
    truth of a simulated scan beside the file; `archives` are the names of those that were sent the
    objects and confirmed them; `measured` tells whether there is a measurement/.
    """

    accuracy: dict[str, Any] | None = None
    archives: tuple[str, ...] = ()
    measured: bool = False
    maps: Mapping[str, str] = field(default_factory=dict)


def replay(
    raw: Path,
    output: Path,
    *,
    config: str = "qsm",
    overrides: Mapping[str, str] | None = None,
    server: Address | None = None,
    progress: Progress | None = None,
    bids: Place | None = None,
) -> Replayed:
    """Send a raw file through the chain; write dicom/, images.h5 and the report (see report.run).

    The file is of any kind that mrd.raw opens, or Siemens' own, which mrd.siemens converts.
    What measure.* asks for goes into measurement/, whatever measure.folder says. What an earlier
    replay left in `output` is replaced; a failure leaves it as it is.

    `config` is the name of a configuration or the path of one; `overrides` are settings by key;
    without `server` the chain runs here, behind a socket on loopback all the same. `bids` is where
    the maps go as well, when all of them came; a dataset has some that nobody need choose.
    Of several repetitions the first is compared with the truth and pictured. Archives that settings
    name are sent the objects before this ends; those of a server are sent what settings choose, and
    not what the report needs besides.
    Raises QsmError when the file, the settings or the chain fail, or no chi map comes back. What
    had come before the chain failed is written all the same when there is a chi map in it. It
    raises as well for objects that an archive does not take; they wait in the outbox, and for an
    outbox that cannot be used nothing is begun.
    """
    text = configs.read(config)
    properties = {**read_properties(text), **(overrides or {})}
    settings = Settings.from_properties(properties)
    ours = not server or bool(overrides or bids)
    if not ours:
        settings = settings.model_copy(update={"store": StoreSettings()})  # that is its matter
    opened(settings.store)  # it may not be there to be used
    _require_other(output / IMAGES, raw)
    chosen = (*settings.deliver.maps, *REPORTED, *wanted(settings))
    with readable(raw) as source:
        with opened_raw(source) as file:
            header = completed(Header.parse(file.header_text), settings.identity)
        besides = _besides(bids, header) if bids else ()
        names = _wanted(settings, (*chosen, *besides))
        asked: ConfigText | ConfigFile = _named(config, text)
        if ours:
            asked = ConfigText(_as_xml({**_of_maps(properties), **names}))
        with served(server, properties) as address:
            came = exchanged(source, address, asked, progress)
    maps = list(images_to_maps(came.images))
    chi = next((volume for volume in maps if volume.name == "chi"), None)
    if chi is None and (came.failure or not came.files):
        raise came.failure or QsmError("the server sent no susceptibility map; see its log")
    _clear(output / "dicom")
    for about in (output / FOLDER).rglob(ABOUT):  # without it, it is the folder of no visit
        about.unlink()
    for dicom in came.files:
        _save(dicom, output / "dicom")
    if chi is None:
        return Replayed()  # a server that is set to send DICOM alone
    accuracy = _accuracy(raw, maps, chi)
    others = _others(came, maps, chosen) if bids else maps
    with processors():  # what is measured is rounded alike with any number of them
        _write(output, came, others, header, settings, accuracy)
    if came.failure:
        raise QsmError(f"{came.failure}; the maps before that are in {output}") from came.failure
    if bids:
        write_scan(bids, maps, header, settings)
    if waiting := send_what_waits(settings.store, LONGEST_S):
        box = f" --outbox {settings.store.outbox}" if settings.store.outbox else ""
        look = f"see 'gadgetron-qsm outbox list{box}'"
        raise QsmError(f"the maps are in {output}, but {waiting}; {look}")
    archives = tuple(node.name for node in nodes_of(settings.store))
    return Replayed(accuracy, archives, settings.measure.asked, _digests(maps))


def _named(config: str, text: str) -> ConfigText | ConfigFile:
    """Return what asks a server for a configuration, by its text where it is a file here."""
    return ConfigText(text) if Path(config).is_file() else ConfigFile(config)


def _require_other(path: Path, raw: Path) -> None:
    """Raise QsmError where what is written would take the place of the raw file."""
    with suppress(OSError):
        if path.samefile(raw):
            raise QsmError(f"{raw.name} would be replaced by the images; name another --output")


def _besides(bids: Place, header: Header) -> tuple[str, ...]:
    """Name the maps that a dataset has of a scan; raise QsmError when it cannot take the scan."""
    require_dataset(bids.root)
    require_free(bids, header)
    return needed(header)


def _others(came: Came, maps: list[Map], names: Collection[str]) -> list[Map]:
    """Return the maps of those names as without a dataset; leave their images alone in `came`."""
    came.images = [image for image in came.images if own_meta(image)["map"] in names]
    return list(apart(maps, names))


def _write(
    output: Path,
    came: Came,
    maps: list[Map],
    header: Header,
    settings: Settings,
    accuracy: Mapping[str, Any] | None,
) -> None:
    """Write all that a replay leaves; raise QsmError at the end for what could not be kept."""
    record = Record(header)
    folder = None if came.files else output / "dicom"
    measured = output / FOLDER
    scan = Outgoing(header, _here(settings), folder=folder, measured=measured, record=record)
    try:
        for volume in maps:
            scan.objects(scan.seen(volume))
        _write_images(output / IMAGES, came.images, header, settings)
        scan.settle()
        if not came.failure:
            scan.measure()
    except KeyboardInterrupt:
        scan.abandon()
        raise
    write_run(
        output,
        record,
        settings=settings,
        timing_s={"latency": round(came.latency_s, 3)},
        accuracy=accuracy,
        failure=came.failure,
    )
    try:
        scan.finish(came.failure)
    except QsmError as error:
        raise QsmError(f"{error}; the maps are in {output}") from error


def _digests(maps: list[Map]) -> dict[str, str]:
    found = {}
    for volume in maps:
        echo = "" if volume.echo is None else f" {volume.echo + 1}"
        found[f"{volume.name} {volume.repetition + 1}{echo}"] = volume.digest
    return found


def _clear(folder: Path) -> None:
    """Remove the series of an earlier replay, and nothing that others put beside them."""
    for file in folder.glob("*/*.dcm"):
        if OURS.fullmatch(f"{file.parent.name}/{file.name}"):
            file.unlink()
            with suppress(OSError):  # something else is in there
                file.parent.rmdir()


def _save(dicom: DicomFile, folder: Path) -> None:
    """Write what a server sent, which may be anybody's; of its own name no path is made."""
    try:
        save(dcmread(BytesIO(dicom.data)), folder)
    except (InvalidDicomError, AttributeError, ValueError, TypeError) as error:
        raise QsmError(
            "the server sent a DICOM message that is no object with numbers of series and instance"
        ) from error


def _write_images(path: Path, images: list[Image], header: Header, settings: Settings) -> None:
    hidden = settings.identity.deidentify
    kept = (anonymous_image(image) for image in images) if hidden else iter(images)
    with replacing(path) as part:
        write_images(part, kept, anonymous_header(header) if hidden else header.text)


def _wanted(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """Return the settings that ask for maps: those to be kept, and the others of `names`."""
    chosen = settings.deliver.maps
    besides = dict.fromkeys(name for name in names if name not in chosen)
    return {"deliver.maps": ",".join(chosen), "deliver.image_maps": ",".join(besides)}


def _of_maps(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of how maps are made; what becomes of them is settled here."""
    others = of_the_machine(properties)
    here = ("deliver.", "measure.")
    return {
        key: value
        for key, value in properties.items()
        if key not in others and (key in OF_MAPS or not key.startswith(here))
    }


def _here(settings: Settings) -> Settings:
    """Return the settings with the replay's own folder, which it writes to, as the only one."""
    changed = {"dicom_folder": None, "report_folder": None, "console": "images"}
    return settings.model_copy(update={"deliver": settings.deliver.model_copy(update=changed)})


def _as_xml(properties: Mapping[str, str]) -> str:
    lines = [
        f"<property name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in properties.items()
    ]
    return f"<configuration>{''.join(lines)}</configuration>"


def _accuracy(raw: Path, maps: list[Map], chi: Map) -> dict[str, Any] | None:
    truth = raw.with_name(f"{raw.stem}_truth.npz")
    masks = [m for m in maps if m.name == "mask" and m.repetition == chi.repetition]
    if not os.path.isfile(truth) or not masks:  # noqa: PTH113 - the name may be too long for one
        return None
    with np.load(truth) as file:
        accuracy = compare(chi.data, masks[0].data > 0, dict(file))
    if any(volume.repetition != chi.repetition for volume in maps):
        accuracy["repetition"] = chi.repetition + 1
    return accuracy
