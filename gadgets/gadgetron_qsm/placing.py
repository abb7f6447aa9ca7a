"""What is computed where, and what is done when it does not fit there."""

from __future__ import annotations

import logging
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from gadgetron_qsm.arrays import Array, on_device, to_numpy
from gadgetron_qsm.arrays.places import Gpu, Host, Place
from gadgetron_qsm.coils.tiles import Tiles
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.memory import needed_on_device
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.sections import DeviceSettings

log = logging.getLogger(__name__)


def where(section: DeviceSettings) -> Place:
    """Return the place that the settings name, made this thread's.

    Raises QsmError for a device that is asked for and is not there.
    """
    place = _opened(section.use, section.number, section.memory_gb)
    place.enter()
    return place


@cache
def _opened(use: str, number: int, memory_gb: float | None) -> Place:
    """Open a place once: what is missing is said once."""
    if use == "cpu":
        return Host()
    try:
        return Gpu(number, memory_gb)
    except ValueError as error:
        if use == "gpu":
            raise QsmError(f"{error}; set device.use=auto to compute on the CPU then") from error
        log.info("computing on the CPU: %s", error)
        return Host()


def nearer(images: CoilImages, place: Place, journal: Journal) -> CoilImages:
    """Return coil images where their coils are combined: in a place whole, or read in tiles there.

    Tiles are for what stayed on the host because it does not fit.
    """
    if not place.on_device or on_device(images.data):
        return images
    try:
        if needed_on_device(images.data.shape) <= place.free_bytes():
            return replace(images, data=place.bring(images.data))
    except MemoryError:
        place.release()
    return _in_tiles(images, place, journal)


def lighter(images: CoilImages, place: Place, journal: Journal) -> CoilImages:
    """Return coil images whose combination needs less memory of a device: tiles, or none of it."""
    place.release()
    if isinstance(images.data, Tiles):
        journal.warn(f"{place.name} has too little free memory: coils were combined on the CPU")
        return replace(images, data=images.data.on_host)
    return _in_tiles(replace(images, data=_on_host(images.data)), place, journal)


def _in_tiles(images: CoilImages, place: Place, journal: Journal) -> CoilImages:
    journal.warn(f"{place.name} has too little free memory: coils were combined echo by echo")
    return replace(images, data=Tiles(images.data, place.bring))


def _on_host(images: Array) -> np.ndarray:
    """Fetch images (echo, coil, z, y, x) one by one.

    Without oversampling they are a part of a larger array, which CuPy copies first, on the device.
    """
    host = np.empty(images.shape, images.dtype)
    for index in np.ndindex(images.shape[:2]):
        host[index] = to_numpy(images[index])
    return host


def fetched(found: Any) -> Any:
    """Return a dataclass, or an array, with all its arrays in host memory."""
    if not is_dataclass(found) or isinstance(found, type):
        return to_numpy(found) if on_device(found) else found
    values = {part.name: getattr(found, part.name) for part in fields(found) if part.init}
    return replace(found, **{name: fetched(value) for name, value in values.items()})
