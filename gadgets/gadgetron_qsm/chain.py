"""The order of the stages: messages to echoes, echoes to maps, maps to images for the console.

Each stage is a generator that consumes the one before, so that a site may cut the chain between
processes where it likes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.arrays.places import Host, Place
from gadgetron_qsm.combination import combine_coils
from gadgetron_qsm.contrasts import SLOW, Contrasts
from gadgetron_qsm.data import CoilImages, Echoes, Map
from gadgetron_qsm.dicom.console import images_of, to_message
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import echoes_to_images
from gadgetron_qsm.mrd.messages import DicomFile, Image, Message
from gadgetron_qsm.outgoing import Outgoing
from gadgetron_qsm.placing import lighter, nearer, where
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import scans
from gadgetron_qsm.susceptibility import PPB_PER_PPM, Susceptibility, Volume, quantify
from gadgetron_qsm.wanted import require_places, wanted

Sent = Image | DicomFile

PERCENT, MRAD_PER_RAD = np.float32(100), np.float32(1000)
BRIGHTEST = 4095.0  # of the magnitude images, as scanners scale theirs
PLAIN: Mapping[str, Callable[[Susceptibility], Array]] = {
    "total_field": lambda found: found.fit.total_field * PPB_PER_PPM,
    "local_field": lambda found: found.local_field * PPB_PER_PPM,
    "mask": lambda found: found.mask,
}


def combine(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Echoes]:
    """Readouts or images of a scan, to one complex image an echo, coils combined.

    Gives one repetition after the other, each when the last of its messages has come.
    """
    start, place = time.perf_counter(), where(settings.device)
    volumes = coil_images(messages, header, settings.kspace, place)
    while (images := _next(volumes)) is not None:
        journal, ingest_s = Journal(images.report), time.perf_counter() - start
        scans.timed("ingest", ingest_s)
        journal.timing_s.setdefault("ingest", round(ingest_s, 3))
        with _naming(images.repetition):
            images = nearer(images, place, journal)
            while (echoes := _combined(images, header, settings, journal)) is None:
                images = lighter(images, place, journal)
        del images  # the next repetition needs the room
        scans.see(echoes.report, echoes.repetition)
        yield echoes
        start = time.perf_counter()


def _next(volumes: Iterator[CoilImages]) -> CoilImages | None:
    with _enough_memory():
        return next(volumes, None)


def _combined(
    images: CoilImages, header: Header, settings: Settings, journal: Journal
) -> Echoes | None:
    """Combine the coils; None when a device has too little memory."""
    try:
        return combine_coils(images, header, settings, journal)
    except MemoryError:
        if isinstance(images.data, np.ndarray):
            raise
        return None


def susceptibility(
    volumes: Iterable[Echoes], settings: Settings, names: Collection[str] | None = None
) -> Iterator[Map]:
    """Complex echoes to maps: chi first, as it is what is waited for, contrasts if asked for.

    Those of `names` are made; by default all that a next gadget may choose from.
    """
    if names is None:
        names = (*PLAIN, "magnitude", *wanted(settings))
    place = where(settings.device)
    for echoes in volumes:
        with _naming(echoes.repetition):
            yield from _maps(echoes, settings, names, place)
        place.rest()


@contextmanager
def _naming(repetition: int) -> Iterator[None]:
    """Name a repetition behind the first in what is refused: those before it are delivered.

    Memory that runs out is refused as well.
    """
    try:
        with _enough_memory():
            yield
    except QsmError as error:
        if not repetition:
            raise
        raise QsmError(f"repetition {repetition + 1}: {error}") from error


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise QsmError(
            f"not enough memory: {error}; take the preset 'fast', larger voxels or more memory"
        ) from error


def _maps(
    echoes: Echoes, settings: Settings, names: Collection[str], place: Place
) -> Iterator[Map]:
    journal = Journal(echoes.report)
    volume, found = _quantified(echoes, settings, journal, place)

    def made(name: str, data: Array, **echo: Any) -> Map:
        data = to_numpy(data).astype(np.float32, copy=False)
        return Map(
            name,
            data,
            MAPS[name].unit,
            echoes.geometry,
            report=journal.report(),
            repetition=echoes.repetition,
            **echo,
        )

    yield made("chi", found.chi * PPB_PER_PPM)
    contrasts = Contrasts(volume, found)
    for name, data in contrasts.made(set(names) - SLOW):
        yield made(name, _bright(data) if MAPS[name].unit == MAPS["magnitude"].unit else data)
    for name, make in PLAIN.items():
        if name in names:
            yield made(name, make(found))
    for name, data in _of_echoes(volume, names):
        for echo, echo_time_s in enumerate(echoes.echo_times_s):
            yield made(name, data[echo], echo=echo, echo_time_s=echo_time_s)
    if echoes.g_factor is not None:
        journal.provenance["g_factor"] = {"method": "from the GRAPPA kernels and sensitivities"}
        yield made("g_factor", echoes.g_factor * PERCENT)
    for name, data in contrasts.made(SLOW & set(names)):
        yield made(name, data)


def _of_echoes(volume: Volume, names: Collection[str]) -> Iterator[tuple[str, Array]]:
    """Give name and data (echo, z, y, x) of the maps that there is one of for each echo."""
    if "magnitude" in names:
        yield "magnitude", _bright(volume.magnitude)
    if "phase" in names:
        data = volume.echoes.data
        yield "phase", array_module(data).angle(data) * MRAD_PER_RAD


def _quantified(
    echoes: Echoes, settings: Settings, journal: Journal, place: Place
) -> tuple[Volume, Susceptibility]:
    """Run the numerical stages in a place, or on the host where that has too little memory."""
    try:
        return _run(echoes, settings, journal, place)
    except MemoryError:
        if not place.on_device:
            raise
    journal.warn(f"{place.name} has too little free memory: the maps were computed on the CPU")
    place.release()
    return _run(echoes, settings, journal, Host())


def _run(
    echoes: Echoes, settings: Settings, journal: Journal, place: Place
) -> tuple[Volume, Susceptibility]:
    echoes = replace(echoes, data=place.bring(echoes.data))
    magnitude = array_module(echoes.data).abs(echoes.data)
    _check_signal(magnitude)
    volume = Volume(echoes, magnitude, settings, journal)
    found = quantify(volume)
    _check_map(found.chi)
    journal.provenance["device"] = {"method": f"computed on {place.name}"}
    journal.provenance["preset"] = {"method": settings.preset}
    if place.on_device:
        journal.quality["peak_device_bytes"] = peak_bytes = place.peak_bytes()
        scans.used_device(peak_bytes)
    return volume, found


def _check_signal(magnitude: Array) -> None:
    """Raise QsmError for an echo (of echo, z, y, x) that nothing can be learned from."""
    for number, image in enumerate(magnitude, start=1):
        most = float(image.max())
        if not 0 < most < math.inf:
            what = "0 everywhere" if most == 0 else "not finite"
            raise QsmError(
                f"the image of echo {number} is {what}; look at the raw data, and leave that echo "
                "and its TE out"
            )


def _check_map(chi: Array) -> None:
    """Raise QsmError for a susceptibility map that says nothing, which is not to be delivered."""
    most = float(abs(chi).max())
    if not 0 < most < math.inf:
        what = "0 everywhere" if most == 0 else "not finite"
        raise QsmError(
            f"the susceptibility map is {what}: no brain was found in these images, or their phase "
            "makes no sense; look at the magnitude and the mask"
        )


def _bright(magnitude: Array) -> Array:
    most = float(magnitude.max())
    return magnitude * np.float32(BRIGHTEST / most) if most > 0 else magnitude


def deliver(maps: Iterable[Map], header: Header, settings: Settings) -> Iterator[Sent]:
    """Maps to the console: chosen ones as MRD images, a series index each, or as DICOM messages.

    Each repetition of a map is a series of its own; those of deliver.image_maps are images whatever
    the console takes. What settings ask for besides (a folder,
    archives, a report) the console does not wait for; see outgoing.Outgoing.
    """
    require_places(settings)
    scan, console = Outgoing(header, settings), settings.deliver.console
    chosen, shown = settings.deliver.maps, settings.deliver.image_maps
    series: dict[tuple[str, int], int] = {}
    try:
        for made in maps:
            volume = scan.seen(made)
            scans.see(volume.report, volume.repetition)
            if volume.name in chosen or volume.name in shown:
                scans.made(volume.name)
                index = series.setdefault((volume.name, volume.repetition), len(series) + 1)
                if console != "dicom" or volume.name in shown:
                    yield from images_of(volume, index, header, settings.deliver)
            objects = scan.objects(volume)
            if console != "images":
                yield from (to_message(dataset) for dataset in objects.result())
        for dataset in scan.measure():
            if console != "images":
                yield to_message(dataset)
        if not series:
            names = ", ".join((*chosen, *shown))
            raise QsmError(f"none of the maps {names} came to be delivered")
    except Exception as error:
        scan.finish(error)
        raise
    finally:
        scan.settle()  # of whoever wants no more, too
    scan.finish()


def qsm(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Sent]:
    """Run the whole chain: a scan's messages to the console's images."""
    volumes = combine(messages, header, settings)
    return deliver(susceptibility(volumes, settings, wanted(settings)), header, settings)


def combined_images(
    messages: Iterable[Message], header: Header, settings: Settings
) -> Iterator[Image]:
    """Run the first third: a scan's messages to one complex image an echo."""
    for echoes in combine(messages, header, settings):
        yield from echoes_to_images(echoes)
